"""The same calls of the real client to the gateway and to a real `mlflow server`: answers differ only as told here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.mlflow_servers import CONFIG, Answers, MlflowServer, run_scenario

# step → what the gateway answers instead, and why
DIFFERENCES: dict[str, tuple[Any, str]] = {
    "tag no trace": (
        {"error": "RESOURCE_DOES_NOT_EXIST"},
        "MLflow answers BAD_REQUEST with the SQL that failed",
    ),
    "rename a deleted one": (
        {"error": "INVALID_PARAMETER_VALUE"},
        "MLflow answers 500 INTERNAL_ERROR, which clients repeat",
    ),
    "history of odd values": (["nan", "inf"], "MLflow keeps infinity as the largest number"),
}


@pytest.mark.timeout(300)
def test_the_client_is_answered_as_by_mlflow(start_gateway: StartGateway) -> None:
    """Field by field, but for IDs, times and places."""
    gateway = start_gateway(CONFIG)
    recorded, found = Answers.read(), run_scenario(gateway, gateway)
    assert found.version.split(".")[:2] == recorded.version.split(".")[:2], (
        "record the answers again: python -m tests.mlflow"
    )
    assert list(found.answers) == list(recorded.answers)
    for step, answer in found.answers.items():
        if step in DIFFERENCES:
            assert answer == DIFFERENCES[step][0], step
            assert recorded.answers[step] != answer, f"{step}: no difference any more"
        else:
            assert answer == recorded.answers[step], step


@pytest.mark.full
@pytest.mark.timeout(600)
def test_the_recording_is_what_mlflow_answers(start_gateway: StartGateway, tmp_path: Path) -> None:
    """Live."""
    gateway = start_gateway(CONFIG)
    with MlflowServer(tmp_path / "mlflow") as server:
        assert run_scenario(server, gateway).answers == Answers.read().answers
