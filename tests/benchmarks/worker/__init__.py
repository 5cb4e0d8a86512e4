"""The whole worker as a process on a real broker, under load: its log, its driver, and the loop it is compared with."""
