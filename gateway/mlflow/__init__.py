"""What MLflow's unmodified clients ask of a tracking server: experiments, traces, assessments, runs, datasets.

Each handler is a plain function from a Call to a reply, listed in routes.py; web/mlflow.py binds them to HTTP. All
reads and writes lie within the caller's project.
"""
