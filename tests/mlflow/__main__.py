"""Records the answers of a real `mlflow server` again: `python -m tests.mlflow`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.support.mlflow_servers import CONFIG, MlflowServer, run_scenario
from tests.support.servers import GatewayProcess

if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as made,
        MlflowServer(Path(made) / "mlflow") as server,
        GatewayProcess(Path(made) / "gateway", CONFIG) as gateway,
    ):
        found = run_scenario(server, gateway)
        found.write()
        print(f"recorded {len(found.answers)} answers of mlflow {found.version}")
