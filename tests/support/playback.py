"""A server that plays recorded replies back, byte for byte and in chosen pieces: for what the reference can't do.

The request's `model` names the file in tests/recordings: `NAME.sse` where a stream is asked for, else `NAME.json`.
`x_cut` in the body is the size of a piece (0: the whole at once) and `x_pause_ms` the wait between pieces; `x_hang`
keeps the connection open at the end. `error-STATUS` is answered with that status.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

RECORDINGS = Path(__file__).parent.parent / "recordings"


def recorded(suffix: str) -> list[str]:
    """The names of all recordings with that suffix."""
    return sorted(path.name.removesuffix(suffix) for path in RECORDINGS.glob(f"*{suffix}"))


class Playback:
    """The server, in a thread. `requests` are the bodies it got, oldest first; `gone` counts readers that left."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.gone = 0
        owner = self

        class Handler(_Handler):
            playback = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False  # a pooled connection may wait for a request that never comes
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    playback: Playback
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the tests look at `requests`."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client that hangs up amid or between requests
            super().handle()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.playback.requests.append(body)
        self.playback.headers.append({name.lower(): value for name, value in self.headers.items()})
        name, stream = body["model"], body.get("stream") is True
        status = int(name.removeprefix("error-")) if name.startswith("error-") else 200
        sse = stream and status == 200
        path = RECORDINGS / f"{name}.{'sse' if sse else 'json'}"
        if not path.is_file():
            self.send_error(404, f"no recording {path.name}")
            return
        try:
            self._play(path.read_bytes(), status, sse, body)
        except (BrokenPipeError, ConnectionResetError):
            self.playback.gone += 1
            self.close_connection = True

    def _play(self, data: bytes, status: int, sse: bool, body: dict[str, Any]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8" if sse else "application/json")
        if status == 429:
            self.send_header("Retry-After", "11")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        size = body.get("x_cut") or len(data)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(body.get("x_pause_ms", 0) / 1000)
        if body.get("x_hang"):
            self._wait_until_gone()
        self.wfile.write(b"0\r\n\r\n")

    def _wait_until_gone(self) -> None:
        self.connection.settimeout(60)
        if self.connection.recv(1) == b"":
            raise ConnectionResetError
