"""A client of MLflow's REST API, by hand: it sends what MLflow's own client would, and also what that never would."""

from __future__ import annotations

from typing import Any

from tests.support.http_client import Reply, call
from tests.support.servers import GatewayProcess

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"


class Tracking:
    """A gateway, asked as MLflow's clients ask. `key` is a name in `keys`: who asks."""

    def __init__(self, gateway: GatewayProcess, keys: dict[str, str]) -> None:
        self.gateway, self.keys = gateway, keys

    def reply(self, method: str, path: str, body: Any = None, key: str = "review", **headers: str) -> Reply:
        return call(self.gateway, method, path, body, key=self.keys.get(key), headers=headers)

    def ok(self, method: str, path: str, body: Any = None, key: str = "review") -> Any:
        """Return the answer of a call that must succeed."""
        found = self.reply(method, path, body, key)
        assert found.status == 200, found.body
        return found.json

    def refused(self, method: str, path: str, body: Any = None, key: str = "review") -> tuple[int, str]:
        """Return status and error code of a call that must fail."""
        found = self.reply(method, path, body, key)
        assert set(found.json) == {"error_code", "message"}, found.body
        return found.status, found.json["error_code"]

    def chat(self, key: str = "admin", **body: Any) -> str:
        """Chat, and return the trace ID of the whole answer."""
        found = call(
            self.gateway, "POST", "/chat", {"message": "hi there", "model": "fast", **body}, key=self.keys[key]
        )
        assert found.status == 200, found.body
        return str(found.json["trace_id"])

    def trace(self, key: str = "review", **info: Any) -> str:
        """Store a client's trace, and return its ID."""
        made = self.ok("POST", f"{V3}/traces", {"trace": {"trace_info": trace_info(**info)}}, key)
        return str(made["trace"]["trace_info"]["trace_id"])

    def search(self, text: str = "", key: str = "review", **body: Any) -> list[str]:
        """Return the IDs of the traces found."""
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
        found = self.ok("POST", f"{V3}/traces/search", {"locations": [place], "filter": text, **body}, key)
        return [trace["trace_id"] for trace in found["traces"]]

    def info(self, trace_id: str, key: str = "review") -> Any:
        return self.ok("GET", f"{V3}/traces/{trace_id}", key=key)["trace"]["trace_info"]


_made = iter(range(1, 10_000))


def trace_info(**over: Any) -> dict[str, Any]:
    """Return a TraceInfo, each time of another trace."""
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
