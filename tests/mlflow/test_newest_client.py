"""The newest release on the registry, which the lock may not have yet: with `--full`, client and server of it.

Its wheel is put before the locked one without what it depends on, since that may come to the registry days later.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import StartGateway
from tests.mlflow.test_scenario import DIFFERENCES
from tests.support.mlflow_servers import CONFIG, MlflowServer, run_scenario

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


@pytest.fixture
def newest(tmp_path: Path) -> str:
    """A Python with all that this one has, and the newest MLflow."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "newest"], check=True, timeout=120)
    python = tmp_path / "newest" / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--no-deps", "--python", python, "mlflow"], check=True, timeout=400
    )
    (packages,) = (tmp_path / "newest" / "lib").glob("python*/site-packages")
    (packages / "locked.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(python)


def test_the_newest_client_is_answered_as_by_its_own_server(
    newest: str, start_gateway: StartGateway, tmp_path: Path
) -> None:
    """The whole scenario, and no other difference than with the locked release."""
    gateway = start_gateway(CONFIG)
    with MlflowServer(tmp_path / "mlflow", newest) as server:
        theirs = run_scenario(server, gateway, newest)
    ours = run_scenario(gateway, gateway, newest)
    assert ours.version == theirs.version
    assert list(ours.answers) == list(theirs.answers)
    differ = {step for step, answer in ours.answers.items() if answer != theirs.answers[step]}
    assert differ == set(DIFFERENCES), ours.version
