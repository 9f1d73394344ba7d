"""Handlers of MLflow's routes: each takes a Request, runs scripts, and returns JSON values or bytes.

They make IDs and times, and leave what is read and written to wire/, and what is stored to scripts/. The table of
routes is gateway/mlflow/routes.py.
"""
