"""The same job on the same messages of one broker, in nine engines."""
