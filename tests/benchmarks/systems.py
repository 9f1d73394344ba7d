"""What is measured: the mock upstream by itself, nginx in front of it, and this gateway, started the same way.

Other gateways are further servers, which `peers.py` starts.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from .machine import GATEWAY_CORE, LOAD_CORE, BenchError, free_port, need, spawn, stop, wait_for_port

MODELS = (
    "mock-16-0ms",
    "mock-4096-0ms",
    "mock-256-0ms",
    "mock-4-0ms",
    "mock-4-0ms-w10",
    "mock-100-20ms",
    "mock-2-600000ms",
)
_MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Tell me in a few words how a streaming gateway works, and why feedback matters."},
]


@dataclass(frozen=True)
class Server:
    """A running process that listens. `start_s`: from its start to the first answer of readiness."""

    process: subprocess.Popen[bytes]
    port: int
    start_s: float = 0
    headers: tuple[str, ...] = ()
    path: str = "/v1/chat/completions"
    prefix: str = ""  # of the names of models
    mark: str = "[DONE]"  # what ends its streams
    command: Path | None = None  # of this gateway: what started it


@dataclass(frozen=True)
class Request:
    """One kind of POST: `tokens` must come back in order, and `mark` after them."""

    path: str
    body: str
    mark: str
    tokens: int = 0


@dataclass(frozen=True)
class System:
    """A column of the table: one wire of one server."""

    name: str
    server: Server
    native: bool = False
    measured: bool = field(default=True)  # False for the mock itself: it isn't the price of a gateway
    peer: bool = False
    paced: tuple[int, ...] = ()  # of a peer, the numbers of paced streams it is measured at
    most: int = 400  # where the search for its most streams begins

    @property
    def pid(self) -> int:
        return self.server.process.pid

    def stream(self, model: str) -> Request:
        tokens = int(model.split("-")[1])
        body: dict[str, object] = {"model": self.server.prefix + model, "messages": _MESSAGES}
        if self.native:
            return Request("/chat/stream", json.dumps(body), '"type":"done"', tokens)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        return Request(self.server.path, json.dumps(body), self.server.mark, tokens)

    def plain(self, model: str) -> Request:
        """Not streamed to the client. For `/v1` the upstream isn't asked for a stream either, for `/chat` it may be."""
        body = json.dumps({"model": self.server.prefix + model, "messages": _MESSAGES})
        return Request("/chat", body, '"trace_id"') if self.native else Request(self.server.path, body, "~END~")


@dataclass(frozen=True)
class Yard:
    """Where the compiled tools lie, what to measure, and where a run may write."""

    tools: Path
    gateway: Path
    work: Path

    def directory(self, name: str) -> Path:
        return Path(mkdtemp(prefix=f"{name}-", dir=self.work))

    @contextmanager
    def mock(self) -> Iterator[Server]:
        port = free_port()
        process = spawn(LOAD_CORE, [str(self.tools / "mock"), str(port)], self.directory("mock") / "log")
        try:
            wait_for_port(port, process)
            yield Server(process, port)
        finally:
            stop(process, 0)

    @contextmanager
    def nginx(self, mock: Server) -> Iterator[Server]:
        port, home = free_port(), self.directory("nginx")
        (home / "nginx.conf").write_text(_nginx_config(home, port, mock.port))
        command = [need("nginx", "nginx-light"), "-e", "error.log", "-p", str(home), "-c", "nginx.conf"]
        process = spawn(GATEWAY_CORE, command, home / "log")
        try:
            wait_for_port(port, process)
            yield Server(process, port)
        finally:
            stop(process, 1)

    @contextmanager
    def serve(
        self,
        mock: Server,
        streaming: str = "",
        fill: Callable[[Path], None] | None = None,
        command: Path | None = None,
    ) -> Iterator[Server]:
        """This gateway with its default settings, a key on each request, and a store of its own, perhaps filled.

        `command` names another one than the yard's.
        """
        gateway = str(command or self.gateway)
        port, home = free_port(), self.directory("gateway")
        config = home / "config.toml"
        config.write_text(_gateway_config(home, port, mock.port, streaming))
        env = {"BENCH_PROVIDER_KEY": "sk-bench"}
        create = [gateway, "keys", "create", "--role", "chat", "--json", "--config", str(config)]
        made = subprocess.run(create, capture_output=True, text=True, env={**os.environ, **env}, cwd=home, check=False)
        if made.returncode:
            raise BenchError(f"gateway keys create: {made.stderr.strip() or made.stdout.strip()}")
        headers = (f"Authorization: Bearer {json.loads(made.stdout)['key']}",)
        if fill is not None:
            fill(home / "gateway.db")
        began = time.monotonic()
        process = spawn(GATEWAY_CORE, [gateway, "serve", "--config", str(config)], home / "log", env)
        try:
            _wait_until_ready(port, process, home / "log")
            yield Server(process, port, time.monotonic() - began, headers, command=Path(gateway))
        finally:
            stop(process, 0)  # its store goes with it, so there is nothing to drain for


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path, timeout_s: float = 20) -> None:
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.01)
    raise BenchError(f"the gateway did not get ready; its last words: {log.read_text()[-1000:]}")


def _gateway_config(home: Path, port: int, mock_port: int, streaming: str) -> str:
    models = "".join(f'[models."{model}"]\ntargets = ["mock/{model}"]\n' for model in MODELS)
    return (
        f"[server]\nport = {port}\n"
        f'[store]\nurl = "sqlite:///{home}/gateway.db"\n'
        f"[streaming]\n{streaming}\n"
        '[auth]\nrequire_keys = "always"\n'
        f'[providers.mock]\nkind = "openai"\nbase_url = "http://127.0.0.1:{mock_port}/v1"\n'
        f'api_key = "env:BENCH_PROVIDER_KEY"\n{models}'
    )


def _nginx_config(home: Path, port: int, mock_port: int) -> str:
    paths = "".join(
        f"{name}_temp_path {home}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1; daemon off; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000; {paths}
  upstream mock {{ server 127.0.0.1:{mock_port}; keepalive 2048; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096; tcp_nodelay on;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 600;
    }}
  }}
}}
"""
