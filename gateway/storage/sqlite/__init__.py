"""The SQLite engine: all that only SQLite knows."""
