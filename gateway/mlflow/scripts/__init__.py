"""Transaction scripts over MLflow's subjects, run by handlers/. They take and return values, and know no wire."""
