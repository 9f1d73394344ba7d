"""The store: `engine` is the seam, `scripts/` has the transactions by subject, and each other folder is an engine."""
