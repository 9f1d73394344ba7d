"""What operators see of a running gateway: the log, the metrics and the live feed."""
