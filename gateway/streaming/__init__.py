"""One answer while it runs: the log it is written to, the readers behind it, and the run that owns the call."""
