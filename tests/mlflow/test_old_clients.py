"""A client about a year old, and the small one that only traces: with `--full`, as each is installed for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StartGateway
from tests.support.mlflow_servers import CONFIG, QUIET

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]
SCRIPT = Path(__file__).with_name("old_client.py")


@pytest.mark.parametrize(
    ("package", "version"), [("mlflow-skinny", "==3.5.1"), ("mlflow-tracing", "==3.5.1"), ("mlflow-tracing", ">=3.17")]
)
def test_an_older_or_smaller_client(start_gateway: StartGateway, tmp_path: Path, package: str, version: str) -> None:
    """Traces, ratings of every kind, and the search."""
    gateway = start_gateway(CONFIG)
    python = tmp_path / "client" / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "client"], check=True, timeout=120)
    extra = ["pandas"] if package == "mlflow-skinny" else []
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, package + version, *extra], check=True, timeout=400
    )
    done = subprocess.run(
        [python, SCRIPT, gateway.url, package],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=gateway.env | QUIET,
        cwd=gateway.directory,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["spans"] == ["answer", "look_up"]
    assert told["inputs"] == {"question": "Größe?"}
    assert told["outputs"] == {"word": "Größe?"}
    assert told["overridden"] is False
    assert told["found"] == [True]
    assert told["found_spans"] == [2]
    assert told["assessments"] == [["facts", {"a": [1]}, None], ["thumb", False, True]]
    assert told["tags"] == "old"
