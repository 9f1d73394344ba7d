"""The files of a page in memory, ready to send. Made by app.py; asked by pages.py.

Only names that were found in the folder are known, so that no path leads anywhere else. Starlette's StaticFiles would
read from disk in a thread for each request, and compress each time, while streams wait for the CPU.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import msgspec

STATIC = Path(__file__).parent / "static"  # the web app, built from frontend/
DOCS = Path(__file__).parent / "docs"  # the page that shows /openapi.json
HTML = "text/html; charset=utf-8"
_TYPES = {
    ".html": HTML,
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_HASHED = re.compile(r".+-[A-Za-z0-9_-]{8}\.(js|css|woff2)")


class File(msgspec.Struct, frozen=True):
    """One file, ready to send."""

    body: bytes
    gzipped: bytes | None  # gzip, where that is smaller
    media_type: str
    etag: str
    cache: str


class Pages:
    """A folder's index.html and assets. It is read again where it was built again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: int | None = None
        self._files: dict[str, File] = {}

    def find(self, name: str) -> File | None:
        """Return a file by its name: `index.html`, or one of the assets; None where there is none."""
        try:
            stamp = (self._folder / "index.html").stat().st_mtime_ns
        except OSError:
            return None
        if stamp != self._stamp:
            assets = (self._folder / "assets").glob("*")
            self._files = {file.name: _read(file) for file in (self._folder / "index.html", *assets) if file.is_file()}
            self._stamp = stamp
        return self._files.get(name)


def _read(file: Path) -> File:
    body = file.read_bytes()
    packed = gzip.compress(body, mtime=0)
    lasting = _HASHED.fullmatch(file.name) is not None
    return File(
        body=body,
        gzipped=packed if len(packed) < len(body) else None,
        media_type=_TYPES.get(file.suffix, "application/octet-stream"),
        etag=f'W/"{hashlib.sha256(body).hexdigest()[:20]}"',
        cache="public, max-age=31536000, immutable" if lasting else "no-cache",
    )
