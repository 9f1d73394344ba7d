"""What a provider's declaration may say of address, headers, query and authorities. Called by check.py alone."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gateway.config.schema import Provider

# Set by the client itself for each request: another value would break the framing, or what is asked for.
_RESERVED_HEADERS = {
    "accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host", "keep-alive",
    "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"(?:[!-~](?:[ -~\t]*[!-~])?)?")
_BLANK = "begins or ends with a blank or a line end: a secret read from a file often does, so cut it off"
_ENV = "env:"  # a secret whose variable isn't set where none is needed


def provider_problems(provider: Provider, *, files: bool) -> Iterator[tuple[str, str]]:
    """Yield the path below the provider and the problem of each bad value. `files`: read `ca_file`, too."""
    if problem := _url_problem(provider.base_url):
        yield ".base_url", problem
    if problem := _secret_problem(provider.api_key):
        yield ".api_key", problem
    yield from _header_problems(provider)
    for name, value in provider.query.items():
        if value != value.strip():
            yield f".query.{name}", _BLANK
    if "" in provider.query:
        yield ".query", "a name is not empty"
    if files and provider.ca_file and (problem := _ca_problem(provider.ca_file)):
        yield ".ca_file", problem


def _header_problems(provider: Provider) -> Iterator[tuple[str, str]]:
    sent: Mapping[str, str] = {"bearer": "authorization", "api-key": "api-key"}
    seen = {sent[provider.auth]: "is what api_key is sent as: leave one of them out"} if provider.api_key else {}
    for name, value in provider.headers.items():
        path, key = f".headers.{name}", name.lower()
        if not HEADER_NAME.fullmatch(name):
            yield path, "is not the name of a header"
        elif key in _RESERVED_HEADERS:
            yield path, "is a header that the gateway sets itself"
        elif key in seen:
            yield path, seen[key]
        elif problem := _secret_problem(value):
            yield path, problem
        seen[key] = "is given twice: the case of a header's name doesn't count"


def _secret_problem(value: str) -> str | None:
    """Return why a value can't be sent in a header; it may be a secret, so it isn't shown."""
    if value.startswith(_ENV) or _HEADER_VALUE.fullmatch(value):
        return None
    if value != value.strip():
        return _BLANK
    return "is more than one line, or has a character that no header can have"


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        return "an http:// or https:// address is expected"
    if parts.username is not None or parts.password is not None:
        return "bears credentials: put the key into api_key"
    return "has a query with a name twice, or a fragment" if parts.query or parts.fragment else None


def _ca_problem(path: str) -> str | None:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        return "has no certificates in PEM's form"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None
