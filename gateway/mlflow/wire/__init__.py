"""MLflow's wire: read and check what its clients send, and write what they get. No I/O; called by handlers/."""
