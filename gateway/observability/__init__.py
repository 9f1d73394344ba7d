"""What people see of the gateway at work: log lines, metrics, the live feed, and `gateway tail`."""
