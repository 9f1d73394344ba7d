"""Models that judge: who may ask them, how, and that their calls are no one's chats."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.support.http_client import call
from tests.support.servers import GatewayProcess
from tests.web.conftest import Locked

PATH = "/gateway/mlflow/v1/chat/completions"
HI: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


def basic(key: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} {base64.b64encode(f'anybody:{key}'.encode()).decode()}"}


def listed(gateway: GatewayProcess, trace_id: str, include: str = "", key: str | None = None) -> list[dict[str, Any]]:
    target = f"/traces?filter=request_id+%3D+'{trace_id}'&include={include}"
    found: list[dict[str, Any]] = call(gateway, "GET", target, key=key).json["traces"]
    return found


@pytest.mark.parametrize("path", [PATH, "/v1/chat/completions", "/chat", "/v1/completions"])
def test_every_call_is_marked(edge: GatewayProcess, path: str) -> None:
    """By whichever route; it is left out of lists until it is asked for, and has its cost."""
    body = {"/chat": {"message": "hi"}, "/v1/completions": {"prompt": "hi"}}.get(path, HI)
    reply = call(edge, "POST", path, body | {"model": "judge", "metadata": {"gateway.caller": "me", "kept": "yes"}})
    trace_id = reply.headers["x-trace-id"]
    assert listed(edge, trace_id) == []
    (found,) = listed(edge, trace_id, "judges")
    assert found["cost"] == pytest.approx((found["tokens"] - 3) * 1e-6 + 3 * 2e-6)
    metadata = call(edge, "GET", f"/traces/{trace_id}").json["metadata"]
    assert metadata == {"gateway.caller": "judge", "kept": "yes"}
    sought: dict[str, Any] = {"locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]}
    sought |= {"filter": f"request_id = '{trace_id}'"}
    assert call(edge, "POST", "/api/3.0/mlflow/traces/search", sought).json["traces"] == []


def test_nobody_else_marks(edge: GatewayProcess) -> None:
    """Neither a chat's metadata, nor its header, nor a client's own trace."""
    marks = {"gateway.caller": "judge", "gateway.copy_of": "tr-1"}
    headers = {"X-MLflow-Gateway-Caller": "judge"}
    trace_id = call(edge, "POST", "/chat", {"message": "hi", "metadata": marks}, headers).json["trace_id"]
    assert listed(edge, trace_id)
    own = "tr-" + "5" * 32
    info = {
        "trace_id": own,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "state": "OK",
        "trace_metadata": marks | {"kept": "yes"},
    }
    assert call(edge, "POST", "/api/3.0/mlflow/traces", {"trace": {"trace_info": info}}).status == 200
    assert listed(edge, own)
    assert call(edge, "GET", f"/traces/{own}").json["metadata"].keys() == {"kept", "mlflow.trace.infoFinalized"}


def test_its_route_reaches_judges_alone(edge: GatewayProcess) -> None:
    """In OpenAI's shape; streamed, too."""
    for body in (HI, HI | {"model": "echo"}, HI | {"model": "none"}):
        reply = call(edge, "POST", PATH, body)
        assert (reply.status, reply.json["error"]["code"]) == (404, "model_not_found")
    reply = call(edge, "POST", PATH, HI | {"model": "judge", "stream": True})
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert "error" in call(edge, "POST", "/gateway/mlflow/v1/none", {}).json


def test_keys(locked: Locked) -> None:
    """A key may be a password there, whoever the user, and nowhere else; a reviewer's asks judges and nothing else."""
    gateway, keys = locked.gateway, locked.keys
    judged = HI | {"model": "judge"}
    for role in ("chat", "review", "admin"):
        for headers in (basic(keys[role]), basic(keys[role], "basic"), {"Authorization": f"Bearer {keys[role]}"}):
            reply = call(gateway, "POST", PATH, judged, headers)
            assert reply.status == 200, (role, headers, reply.body)
    for headers in (basic("gw-sk-none"), basic(""), {"Authorization": "Basic ?"}, {"Authorization": "Basic"}, {}):
        assert call(gateway, "POST", PATH, judged, headers).status == 401
    assert call(gateway, "POST", "/v1/chat/completions", judged, basic(keys["chat"])).status == 401
    assert call(gateway, "POST", "/v1/chat/completions", judged, key=keys["review"]).status == 200
    reply = call(gateway, "POST", "/v1/chat/completions", HI, key=keys["review"])
    assert (reply.status, reply.json["error"]["code"]) == (403, "forbidden")
    assert "judge" in reply.json["error"]["message"]
