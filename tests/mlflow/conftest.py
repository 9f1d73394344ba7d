"""A gateway that wants keys, with a reviewer of each of two projects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.mlflow_client import Tracking
from tests.support.mlflow_servers import CONFIG
from tests.support.servers import GatewayProcess
from tests.web.conftest import make_key


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """Keys: review, chat and admin of one project, other of another."""
    process = GatewayProcess(tmp_path_factory.mktemp("tracking"), CONFIG | {"auth": {"require_keys": "always"}})
    keys = {role: make_key(process, role) for role in ("chat", "review", "admin")}
    keys["other"] = make_key(process, "review", project="other")
    keys["other-chat"] = make_key(process, "admin", project="other")
    with process:
        yield Tracking(process, keys)
