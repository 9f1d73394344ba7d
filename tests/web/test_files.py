"""The web app's files: what is served, how long it is kept, and that nothing else can be had."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.errors import NotFound
from gateway.web import pages
from gateway.web.files import Pages
from gateway.web.request import Request
from tests.support.http_client import Reply, call
from tests.support.servers import GatewayProcess

SCRIPT = "index-AbCd_-12.js"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A built app, beside something secret."""
    (tmp_path / "secret.txt").write_text("secret")
    built = tmp_path / "static"
    (built / "assets" / "folder").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html>" + " " * 500)
    (built / "assets" / SCRIPT).write_text("let a = 1;" * 100)
    (built / "assets" / "icon.svg").write_text("<svg/>")
    (built / "assets" / "odd.bin").write_bytes(b"\0")
    return built


async def get(files: Pages, name: str = "", **headers: str) -> Reply:
    """What the handler sends for one request."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    scope = {"type": "http", "headers": given, "path": f"/assets/{name}", "method": "GET"}
    request = Request(scope, cast(Any, None), send, cast(Any, SimpleNamespace(pages=files)), "r")
    request.scope["path_params"] = {"name": name}
    response = await (pages.asset if name else pages.app)(request)
    with request.in_scope():
        await response(scope, request.receive, request.send)
    found = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, sent[1]["body"])


async def test_the_page_is_asked_for_anew(folder: Path) -> None:
    """With a policy under which nothing runs but the app's own files."""
    reply = await get(Pages(folder))
    assert reply.status == 200
    assert reply.body.startswith(b"<!doctype html>")
    assert reply.headers["cache-control"] == "no-cache"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_what_hasnt_changed_isnt_sent_again(folder: Path) -> None:
    """304 for the same; all of it for another."""
    files = Pages(folder)
    etag = (await get(files)).headers["etag"]
    assert (await get(files, if_none_match=etag)).status == 304
    assert (await get(files, if_none_match='W/"other"')).status == 200


async def test_assets(folder: Path) -> None:
    """Their types; packed for who takes it; for ever where the name says so."""
    files = Pages(folder)
    script = await get(files, SCRIPT)
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    packed = await get(files, SCRIPT, accept_encoding="gzip, br")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == script.body
    icon = await get(files, "icon.svg", accept_encoding="gzip")
    assert icon.headers["cache-control"] == "no-cache"
    assert "content-encoding" not in icon.headers
    assert (await get(files, "odd.bin")).headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("name", ["../secret.txt", "..%2fsecret.txt", "/etc/passwd", "none.js", "index.html", "folder"])
async def test_nothing_else(folder: Path, name: str) -> None:
    """Only names that were found in the folder."""
    with pytest.raises(NotFound):
        await get(Pages(folder), name)


async def test_a_new_build_shows_at_once(folder: Path) -> None:
    """Without a restart, also the first one."""
    files = Pages(folder)
    built = folder / "index.html"
    text = built.read_bytes()
    built.unlink()
    reply = await get(files)
    assert b"npm run build" in reply.body
    assert reply.headers["cache-control"] == "no-store"
    built.write_bytes(text)
    assert (await get(files)).body == text
    built.write_bytes(b"new" + text)
    os.utime(built, ns=(1, 1))
    assert (await get(files)).body == b"new" + text


@pytest.mark.parametrize(
    "path", ["/assets/../pages.py", "/assets/%2e%2e/pages.py", "/assets/..%2fpages.py", "/assets/"]
)
def test_no_path_leads_out(edge: GatewayProcess, path: str) -> None:
    """Over a real socket."""
    assert call(edge, "GET", path).status == 404


def test_the_apis_page(edge: GatewayProcess) -> None:
    """It loads nothing but its own files, from here."""
    page = call(edge, "GET", "/docs")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', page.body.decode())
    assert set(loaded) == {"/docs/docs.css", "/docs/docs.js", "/openapi.json"}
    assert all(call(edge, "GET", path).status == 200 for path in loaded)
    assert call(edge, "GET", "/docs/index.html").status == 404


def test_home(edge: GatewayProcess) -> None:
    """Built or not, a page comes; HEAD gives its head alone."""
    reply = call(edge, "GET", "/")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<title>Feedback Gateway</title>" in reply.body
    head = call(edge, "HEAD", "/")
    assert (head.body, head.headers["content-length"]) == (b"", str(len(reply.body)))
