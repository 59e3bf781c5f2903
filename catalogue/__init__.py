"""What we know: rows about recordings, people, devices and the log, on SQLite or PostgreSQL; rebuildable from the log."""
