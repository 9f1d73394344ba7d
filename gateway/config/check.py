"""What a configuration's types can't say: names, addresses and scales that go together. Called by load.py alone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

import msgspec

from gateway.config.check_provider import HEADER_NAME, provider_problems
from gateway.config.schema import ORIGIN, Config, ConfigError, Dimension, Target
from gateway.domain.people import person_id

# What they say is a credential, and no ID.
SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie", "x-feedback-token", "x-user-assertion", "x-api-key"}
# What they say is where a request comes from, and not who sent it.
_OF_THE_REQUEST = {"host", "origin", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
# Query parameters of /detailed-feedback: a dimension of such a name could not be told from them.
RESERVED_DIMENSIONS = {"trace_id", "client_request_id", "user_id", "comment"}
# An origin, and a path where the gateway lies below one.
_PUBLIC_URL = re.compile(rf"(?=https?://){ORIGIN.pattern}(?:/[A-Za-z0-9._~/-]*)?")


def check(config: Config, *, files: bool = True) -> None:
    """Raise ConfigError for the first value that can't be. `files`: the files that it names must be there, too."""
    for path, problem in _problems(config, files=files):
        raise ConfigError(path, problem)


def _problems(config: Config, *, files: bool) -> Iterator[tuple[str, str]]:
    """Yield the path and the problem of each bad value, in the file's order."""
    for origin in config.server.cors_origins:
        if not ORIGIN.fullmatch(origin):
            yield "$.server.cors_origins", f"{origin!r} is not an exact origin, such as https://app.example.com"
    for proxy in config.server.trusted_proxies:
        try:
            ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            yield "$.server.trusted_proxies", f"{proxy!r} is not an IP address or network"
    if config.server.public_url and not _PUBLIC_URL.fullmatch(config.server.public_url):
        yield "$.server.public_url", "an address as browsers have it is expected, such as https://gateway.example.com"
    for name in config.server.id_headers:
        if not HEADER_NAME.fullmatch(name) or name.lower() in SECRET_HEADERS:
            yield f"$.server.id_headers.{name}", "is not the name of a header that may be stored"
    header = config.auth.user_header
    if header and (not HEADER_NAME.fullmatch(header) or header.lower() in SECRET_HEADERS | _OF_THE_REQUEST):
        yield "$.auth.user_header", "is not the name of a header in which a proxy says who calls"
    elif header and not config.server.trusted_proxies:
        yield "$.auth.user_header", "is believed from [server] trusted_proxies alone, and there are none"
    if config.auth.oidc.issuer:
        yield from _oidc_problems(config)
    for group, names in msgspec.structs.asdict(config.auth.people).items():
        for name in names:
            if person_id(name) is None or "*" in name.strip()[1:]:
                yield f"$.auth.people.{group}", f"{name!r} is neither a name nor *@example.com"
    if not config.server.host:
        yield "$.server.host", "is empty: 0.0.0.0 is every address"
    if not re.fullmatch(r"sqlite:///(?!:memory:)[^?\0]*[^/?\0]", config.store.url):
        yield "$.store.url", "sqlite:///file.db or sqlite:////absolute/path/file.db is expected"
    for name, provider in config.providers.items():
        path = f"$.providers.{name}"
        if not name or "/" in name:
            yield path, "a name is not empty and has no slash"
        if name == "demo" and provider.kind != "demo":
            yield path, "demo is built in: choose another name"
        if provider.kind == "openai":
            yield from ((path + below, problem) for below, problem in provider_problems(provider, files=files))
    for name, model in config.models.items():
        path = f"$.models.{name}"
        if not 1 <= len(name) <= 250:
            yield path, "a name has 1 to 250 characters"
        if "*" in name[:-1]:
            yield path, "a * stands at the end of a name only"
        for at, target in enumerate(model.targets):
            text = target.target if isinstance(target, Target) else target
            owner, slash, rest = text.partition("/")
            if not slash or not owner or not rest:
                yield f"{path}.targets[{at}]", f"{text!r} is not provider/model"
            elif "*" in rest[:-1] or ("*" in rest and not name.endswith("*")):
                yield f"{path}.targets[{at}]", f"{text!r}: a * stands at the end, and for that of the model's name"
            elif owner not in config.providers:
                known = ", ".join(config.providers)
                yield f"{path}.targets[{at}]", f"no provider {owner!r}: there are {known}"
    for name, dimension in config.feedback.dimensions.items():
        if problem := _dimension_problem(name, dimension):
            yield f"$.feedback.dimensions.{name}", problem


def _oidc_problems(config: Config) -> Iterator[tuple[str, str]]:
    issuer = config.auth.oidc.issuer
    host = issuer.removeprefix("http://").split("/")[0].rsplit(":", 1)[0]
    if not (issuer.startswith("https://") or (issuer.startswith("http://") and host in ("localhost", "127.0.0.1"))):
        yield "$.auth.oidc.issuer", "an https:// address is expected"
    if not config.auth.oidc.client_id:
        yield "$.auth.oidc.client_id", "is needed beside the issuer"
    if "openid" not in config.auth.oidc.scopes:
        yield "$.auth.oidc.scopes", "openid must be among them"
    if not config.server.public_url:
        yield "$.auth.oidc.issuer", "needs [server] public_url, to which the provider sends browsers back"


def _dimension_problem(name: str, dimension: Dimension) -> str | None:
    low, high, options = dimension.min, dimension.max, dimension.options
    if not 1 <= len(name) <= 245 or name in RESERVED_DIMENSIONS:
        return "is a name of /detailed-feedback itself" if name in RESERVED_DIMENSIONS else "1 to 245 characters"
    if options is not None:
        if low is not None or high is not None:
            return "is either a scale (min, max) or a choice (options), not both"
        return None if options and len(set(options)) == len(options) and all(options) else "options differ, none empty"
    if low is None or high is None:
        return "needs min and max, or options"
    # The stored value is score/max.
    return None if low < high and high > 0 else "min is below max, and max above 0"
