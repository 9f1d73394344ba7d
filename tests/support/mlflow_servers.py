"""A real `mlflow server` on a fresh SQLite file, and the scenario run by any Python that has a client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.support.mlflow_answers import alike
from tests.support.servers import GatewayProcess, ServerProcess

SCENARIO = Path(__file__).parents[1] / "mlflow" / "scenario.py"
RECORDED = Path(__file__).parents[1] / "mlflow" / "recorded.json"
CONFIG: dict[str, Any] = {
    "models": {
        "fast": {"targets": ["demo/lorem-3-0ms"]},
        "slow": {"targets": ["demo/lorem-2000-10ms"]},
        "default": {"targets": ["demo/echo"]},
    },
    "streaming": {"disconnect_grace_s": 0.2},
}
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


class MlflowServer(ServerProcess):
    """The reference, of the release that this Python has."""

    name = "mlflow"
    ready_path = "/version"

    def __init__(self, directory: Path, python: str = sys.executable) -> None:
        self.python = python
        super().__init__(directory, env=QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})

    def start(self, timeout: float = 120) -> Self:
        """It makes its tables first."""
        return super().start(timeout)

    def command(self) -> list[str]:
        return [
            *(self.python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{self.directory}/mlflow.db"),
            *("--default-artifact-root", str(self.directory / "artifacts")),
        ]


class Answers:
    """The answers of one run of the scenario, made comparable."""

    def __init__(self, version: str, answers: list[list[Any]]) -> None:
        self.version = version
        self.answers = {step: answer for step, answer in alike(answers)}
        assert len(self.answers) == len(answers), "a step's name comes twice"

    @classmethod
    def read(cls) -> Answers:
        recorded = json.loads(RECORDED.read_text())
        return cls(recorded["version"], recorded["answers"])

    def write(self) -> None:
        whole = {"version": self.version, "answers": list(self.answers.items())}
        RECORDED.write_text(json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def run_scenario(tracking: ServerProcess, gateway: GatewayProcess, python: str = sys.executable) -> Answers:
    """The client in a process of its own, whose warnings are its own affair."""
    done = subprocess.run(
        [python, str(SCENARIO), tracking.url, f"{gateway.url}/v1"],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env={**os.environ, **QUIET, "PYTHONWARNINGS": "ignore"},
        cwd=tracking.directory,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    return Answers(told["version"], told["answers"])
