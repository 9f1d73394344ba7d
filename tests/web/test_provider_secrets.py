"""A provider that tells all it was sent: headers, query and key reach no client, log, trace or export."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.conftest import StartGateway
from tests.support.http_client import call
from tests.support.router import chunk
from tests.support.servers import GatewayProcess

SECRETS = {"KEY": "k3y-Of-The-Account", "HEADER": "h34der: with a b1ank", "QUERY": "qu3ry/with+signs&more"}
WRITTEN = ["wr1tten-in-the-header", "wr1tten-in-the-query", "wr1tten-in-the-address", "dXNlcjpwYXNzd29yZA=="]
HI = [{"role": "user", "content": "Hi"}]


class Gossip(BaseHTTPRequestHandler):
    """Refuses with everything that came, in each field; or says it in an event after the first token."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        values = [value for _, value in parse_qsl(urlsplit(self.path).query)]
        told = " | ".join([self.path, *values, *self.headers.values()])
        error = {"error": {"message": told, "type": told, "code": told, "param": told}}
        if asked["model"] == "amid":
            body, kind, status = chunk("a") + b"data: " + json.dumps(error).encode() + b"\n\n", "text/event-stream", 200
        else:
            body, kind, status = json.dumps(error).encode(), "application/json", int(asked["model"])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def gossip() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Gossip) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


@pytest.fixture
def gateway(start_gateway: StartGateway, gossip: str) -> GatewayProcess:
    provider = {
        "base_url": f"{gossip}?code={WRITTEN[2]}",
        "api_key": "env:KEY",
        "auth": "api-key",
        "headers": {"X-Env": "env:HEADER", "X-Own": WRITTEN[0], "X-Basic": f"Basic {WRITTEN[3]}"},
        "query": {"env": "env:QUERY", "own": WRITTEN[1]},
    }
    models = {
        name: {"targets": [f"gossip/{name}"], "retries": 0} for name in ("400", "401", "404", "429", "500", "amid")
    }
    return start_gateway({"providers": {"gossip": provider}, "models": models}, env=SECRETS)


def leaks(text: bytes) -> list[str]:
    """What is in it that only the provider may see, as it is or as JSON and addresses have it."""
    words = [*SECRETS.values(), *WRITTEN, "h34der", "qu3ry", "k3y", "wr1tten", "dXNlcj"]
    return [word for word in words if word.encode() in text]


def test_nothing_is_told(gateway: GatewayProcess) -> None:
    """Whichever way the provider says it, and wherever one looks."""
    for model in ("400", "401", "404", "429", "500", "amid"):
        for path, body in (
            ("/v1/chat/completions", {"messages": HI}),
            ("/v1/chat/completions", {"messages": HI, "stream": True}),
            ("/v1/completions", {"prompt": "Hi", "stream": True}),
            ("/v1/embeddings", {"input": "Hi"}),
            ("/chat", {"message": "Hi"}),
            ("/chat/stream", {"message": "Hi"}),
        ):
            if (model, path) != ("amid", "/v1/embeddings"):
                reply = call(gateway, "POST", path, {"model": model, **body})
                assert leaks(reply.body + repr(reply.headers).encode()) == [], (model, path)
    search = call(gateway, "POST", "/api/3.0/mlflow/traces/search", {"max_results": 100, "locations": [
        {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]})  # fmt: skip
    assert search.status == 200
    assert leaks(search.body) == []
    assert leaks(call(gateway, "GET", "/metrics").body + call(gateway, "GET", "/config").body) == []
    for command in (("tail", "--json"), ("tail", "--errors"), ("export", "traces", "--format", "jsonl"), ("check",)):
        done = gateway.run(*command)
        assert leaks((done.stdout + done.stderr).encode()) == [], command
    for file in gateway.directory.iterdir():
        if file.suffix != ".toml":
            assert leaks(file.read_bytes()) == [], file.name
