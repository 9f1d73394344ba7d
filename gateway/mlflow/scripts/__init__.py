"""Transaction scripts of MLflow's entities."""
