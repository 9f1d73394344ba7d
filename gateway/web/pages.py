"""The web app at `/`: the built files of the package, and what is shown where there are none. Called by routes.py.

Files whose name carries a hash are kept by browsers for ever; the page itself is asked for anew each time, so that an
upgrade shows at once.
"""

from __future__ import annotations

from gateway.errors import NotFound
from gateway.web.files import HTML, File
from gateway.web.request import Request
from gateway.web.types import RawHeaders

# What a model says ends up on this page: nothing runs, and nothing is loaded, but the app's own files.
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE: RawHeaders = [
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_NOT_BUILT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Feedback Gateway</title></head><body>
<h1>Feedback Gateway</h1>
<p>The gateway is running. Its web app is not built in this checkout.</p>
<p>To build it, install <a href="https://nodejs.org">Node.js</a> 20.19 or newer and start <code>scripts/serve</code>
again, or run <code>npm ci &amp;&amp; npm run build:app</code> in <code>frontend/</code> and reload this page.</p>
<p>The API works without it: <a href="/openapi.json">/openapi.json</a>, <a href="/config">/config</a>.</p>
</body></html>
"""


async def app(request: Request) -> None:
    """GET /: the web app."""
    file = request.services.pages.find("index.html")
    if file is None:
        await request.reply(_NOT_BUILT, content_type=HTML, extra=[*_SAFE, (b"cache-control", b"no-store")])
    else:
        await _send(request, file)


async def asset(request: Request) -> None:
    """GET /assets/{name}: one of its files."""
    file = request.services.pages.find(request.path_params["name"])
    if file is None or file.kind == HTML:
        raise NotFound("There is no such file.")
    await _send(request, file)


async def _send(request: Request, file: File) -> None:
    headers: RawHeaders = [*_SAFE, (b"cache-control", file.cache), (b"etag", file.etag), (b"vary", b"Accept-Encoding")]
    if file.etag.decode() in (request.header(b"if-none-match") or ""):
        await request.head(304, None, headers)
        await request.send({"type": "http.response.body", "body": b""})
    elif file.packed is not None and "gzip" in (request.header(b"accept-encoding") or ""):
        await request.reply(file.packed, content_type=file.kind, extra=[*headers, (b"content-encoding", b"gzip")])
    else:
        await request.reply(file.body, content_type=file.kind, extra=headers)
