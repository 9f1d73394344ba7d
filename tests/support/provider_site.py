"""A provider's site on the way that a proxy gives: it plays one address, over TLS where that is asked for.

It answers as a proxy does, so that a client which HTTPS_PROXY or HTTP_PROXY tells of it needs no other address than the
provider's real one. It asserts nothing: what came is in `seen`.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import trustme

from tests.support.router import WHOLE
from tests.support.upstream import HEAD, LAST, part
from tests.support.upstream import whole as reply

LIST = reply(200, b'{"object":"list","data":[{"id":"some-model","object":"model"}]}')


class Seen(NamedTuple):
    """One request: `http://host:port` as it was asked for, the request line without the version, headers, body."""

    site: str
    line: str
    headers: dict[str, str]
    body: Any


class Site:
    """Answers a chat with a good stream, a GET with a list of models, or everything with `answer`."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.ca_file = directory / "authority.pem"
        self.authority.cert_pem.write_to_path(str(self.ca_file))
        self.seen: list[Seen] = []
        self.answer: bytes | None = None
        self.url = ""

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection's only request."""
        line, headers, rest = _head(connection)
        if not line:
            return
        site = ""
        if line.startswith("CONNECT "):
            host, _, port = line.split(" ")[1].rpartition(":")
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.authority.issue_cert(host).configure_cert(context)
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            connection = context.wrap_socket(connection, server_side=True)
            site = f"https://{host}:{port}"
            line, headers, rest = _head(connection)
        method, target, _ = line.split(" ")
        if not site:
            parts = urlsplit(target)
            site, target = f"{parts.scheme}://{parts.netloc}", target.removeprefix(f"{parts.scheme}://{parts.netloc}")
        while len(rest) < int(headers.get("content-length", "0")):
            rest += connection.recv(65_536)
        self.seen.append(Seen(site, f"{method} {target}", headers, msgspec.json.decode(rest) if rest else None))
        good = HEAD + part(b"".join(WHOLE)) + LAST if method == "POST" else LIST
        connection.sendall(good if self.answer is None else self.answer)
        connection.close()


def _head(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return "", {}, b""
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    return line, {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}, rest


@contextmanager
def provider_site(directory: Path) -> Iterator[Site]:
    """Run one in a thread. Every address is its own for whoever takes `url` as a proxy and `ca_file` as authority."""
    site = Site(directory)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                site.serve(self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
