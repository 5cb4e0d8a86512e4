"""One module an engine; each reads the log from its beginning, does the job, and sends what came of it."""
