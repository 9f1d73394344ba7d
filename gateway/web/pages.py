"""The web app at `/` and the API's page at `/docs`: files of the package. Called by routes.py.

Files whose name carries a hash are kept by browsers for ever; browsers ask for the page itself each time, so that an
upgrade shows at once.
"""

from __future__ import annotations

from gateway.errors import NotFound
from gateway.web.files import HTML, File, Pages
from gateway.web.request import Request
from gateway.web.responses import Response

# What a model says ends up on this page: nothing runs, and nothing is loaded, but the app's own files.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_NOT_BUILT = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Feedback Gateway</title></head><body>
<h1>Feedback Gateway</h1>
<p>The gateway is running. Its web app is not built in this checkout.</p>
<p>To build it, install <a href="https://nodejs.org">Node.js</a> 20.19 or newer and start <code>scripts/serve</code>
again, or run <code>npm ci &amp;&amp; npm run build:app</code> in <code>frontend/</code> and reload this page.</p>
<p>The API works without it: <a href="/openapi.json">/openapi.json</a>, <a href="/config">/config</a>.</p>
</body></html>
"""


async def app(request: Request) -> Response:
    """Return the web app's page."""
    file = request.services.pages.find("index.html")
    if file is None:
        return Response(_NOT_BUILT, media_type=HTML, headers=_SAFE | {"Cache-Control": "no-store"})
    return _response(request, file)


async def asset(request: Request) -> Response:
    """Return one of the web app's files. Raise NotFound."""
    return _response(request, _asset(request.services.pages, request.path_params["name"]))


async def docs(request: Request) -> Response:
    """Return the page that shows /openapi.json."""
    file = request.services.docs.find("index.html")
    if file is None:
        raise NotFound("There is no such file.")
    return _response(request, file)


async def docs_asset(request: Request) -> Response:
    """Return one of that page's files. Raise NotFound."""
    return _response(request, _asset(request.services.docs, request.path_params["name"]))


def _asset(pages: Pages, name: str) -> File:
    file = pages.find(name)
    if file is None or file.media_type == HTML:
        raise NotFound("There is no such file.")
    return file


def _response(request: Request, file: File) -> Response:
    headers = _SAFE | {"Cache-Control": file.cache, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if file.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.gzipped, media_type=file.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(file.body, media_type=file.media_type, headers=headers)
