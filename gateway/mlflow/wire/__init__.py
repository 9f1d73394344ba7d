"""MLflow's REST wire: what its clients send, checked, and what they get. Sans-I/O; called by gateway/mlflow."""
