"""The real client over chats that only ever went through /chat/stream."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import StartGateway
from tests.support.http_client import call
from tests.support.mlflow_servers import CONFIG, QUIET
from tests.support.servers import GatewayProcess

SCRIPT = Path(__file__).with_name("over_chats.py")


def stream(gateway: GatewayProcess, model: str, *, rate_at: int, stop: bool) -> str:
    """A streamed chat; after `rate_at` lines it is rated, and stopped if so wanted. Its trace ID."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    body = {"message": f"ask {model}", "model": model, "session_id": "talk", "user_id": "bob"}
    connection.request("POST", "/chat/stream", json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    trace_id = str(reply.getheader("X-Trace-Id"))
    for _ in range(rate_at):
        reply.readline()
    rated = call(gateway, "POST", f"/feedback?trace_id={trace_id}&user_id=bob", {"is_correct": not stop})
    assert rated.status == 200
    if stop:
        assert call(gateway, "POST", f"/chat/stream/{trace_id}/stop", {}).status == 200
    reply.read()
    connection.close()
    return trace_id


def test_chats_in_mlflow(start_gateway: StartGateway) -> None:
    """Found, read, put into a dataset, evaluated; the one that was stopped too, rated right after its start."""
    gateway = start_gateway(CONFIG)
    whole = stream(gateway, "fast", rate_at=20, stop=False)
    stopped = stream(gateway, "slow", rate_at=12, stop=True)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), gateway.url],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=gateway.env | QUIET,
        cwd=gateway.directory,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    traces = {trace["trace_id"]: trace for trace in told["traces"]}
    assert list(traces) == [stopped, whole]
    assert (traces[whole]["outcome"], traces[stopped]["outcome"]) == ("complete", "stopped")
    assert (traces[whole]["ratings"], traces[stopped]["ratings"]) == ({"user_feedback": True}, {"user_feedback": False})
    for model, trace in (("fast", traces[whole]), ("slow", traces[stopped])):
        assert (trace["session"], trace["user"], trace["types"]) == ("talk", "bob", ["CHAT_MODEL", "LLM"])
        assert trace["tokens"] > 0
        assert trace["inputs"]["messages"][-1]["content"] == f"ask {model}"
        assert trace["outputs"]["choices"][0]["message"]["content"]
    assert told["sessions"] == [2]
    assert told["records"] == 2
    assert told["metrics"] == {"answered/mean": 1.0}
    assert told["linked"] == 2
