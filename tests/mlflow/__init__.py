"""MLflow's unmodified client against the gateway, beside a real `mlflow server`."""
