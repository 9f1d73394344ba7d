"""A gateway that wants keys, with a reviewer of two projects; and a client by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.http_client import Reply, call
from tests.support.mlflow_servers import CONFIG
from tests.support.servers import GatewayProcess
from tests.web.conftest import make_key

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"


class Tracking:
    """A gateway, asked as MLflow's clients ask. `key`: who asks."""

    def __init__(self, gateway: GatewayProcess, keys: dict[str, str]) -> None:
        self.gateway, self.keys = gateway, keys

    def reply(self, method: str, path: str, body: Any = None, key: str = "review", **headers: str) -> Reply:
        return call(self.gateway, method, path, body, key=self.keys.get(key), headers=headers)

    def ok(self, method: str, path: str, body: Any = None, key: str = "review") -> Any:
        """The answer of a call that must succeed."""
        found = self.reply(method, path, body, key)
        assert found.status == 200, found.body
        return found.json

    def refused(self, method: str, path: str, body: Any = None, key: str = "review") -> tuple[int, str]:
        """Status and error code."""
        found = self.reply(method, path, body, key)
        assert set(found.json) == {"error_code", "message"}, found.body
        return found.status, found.json["error_code"]

    def chat(self, key: str = "admin", **body: Any) -> str:
        """The trace ID of a whole answer."""
        found = call(
            self.gateway, "POST", "/chat", {"message": "hi there", "model": "fast", **body}, key=self.keys[key]
        )
        assert found.status == 200, found.body
        return str(found.json["trace_id"])

    def trace(self, key: str = "review", **info: Any) -> str:
        """A client's own trace."""
        made = self.ok("POST", f"{V3}/traces", {"trace": {"trace_info": trace_info(**info)}}, key)
        return str(made["trace"]["trace_info"]["trace_id"])

    def search(self, text: str = "", key: str = "review", **body: Any) -> list[str]:
        """The traces found."""
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
        found = self.ok("POST", f"{V3}/traces/search", {"locations": [place], "filter": text, **body}, key)
        return [trace["trace_id"] for trace in found["traces"]]

    def info(self, trace_id: str, key: str = "review") -> Any:
        return self.ok("GET", f"{V3}/traces/{trace_id}", key=key)["trace"]["trace_info"]


_made = iter(range(1, 10_000))


def trace_info(**over: Any) -> dict[str, Any]:
    """A TraceInfo, each time of another trace."""
    fields: dict[str, Any] = {
        "trace_id": f"tr-{next(_made):032x}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2026-01-31T10:00:00.250Z",
        "execution_duration": "1.5s",
        "state": "OK",
        "tags": {"mlflow.traceName": "mine"},
        "trace_metadata": {"mlflow.trace_schema.version": "3"},
    }
    return fields | over


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """Keys: review, chat and admin of one project, other of another."""
    process = GatewayProcess(tmp_path_factory.mktemp("tracking"), CONFIG | {"auth": {"require_keys": "always"}})
    keys = {role: make_key(process, role) for role in ("chat", "review", "admin")}
    keys["other"] = make_key(process, "review", project="other")
    keys["other-chat"] = make_key(process, "admin", project="other")
    with process:
        yield Tracking(process, keys)
