"""Who needs no key: callers on this machine, and the pages that may speak for them; and which page is whose.

It is not the whole decision: the authenticator asks here once it has seen that a request bears no credential.
"""

from __future__ import annotations

from collections.abc import Container

from gateway.access.address import Headers, is_local_host, is_loopback
from gateway.config.schema import Config

# A proxy on this machine makes the whole internet look local; any of these says that there is one.
FORWARDING = frozenset(
    b"forwarded via x-real-ip x-client-ip x-cluster-client-ip x-original-host x-original-forwarded-for "
    b"cf-connecting-ip cf-connecting-ipv6 cf-ray cdn-loop true-client-ip fastly-client-ip fly-client-ip".split()
)
_OF_PAGES = frozenset((b"origin", b"host", b"sec-fetch-site", b"sec-fetch-mode"))


def keyless(config: Config, headers: Headers, client_host: str | None) -> bool:
    """Return True where this caller needs no key: anybody under "never", one on this machine under "auto"."""
    if config.auth.require_keys != "auto":
        return config.auth.require_keys == "never"
    hosts = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name in FORWARDING or name.startswith(b"x-forwarded-"):
            return False
    return (
        is_loopback(config.server.host)
        and (client_host is None or is_loopback(client_host))
        and len(hosts) == 1
        and is_local_host(hosts[0])
    )


def keys_required(config: Config) -> bool:
    """Return True where even the nearest caller needs a key: then a start without any makes no sense."""
    require = config.auth.require_keys
    return require == "always" or (require == "auto" and not is_loopback(config.server.host))


def origin_allowed(headers: Headers, allowed: Container[str]) -> bool:
    """Return True where a request's Origin is this server's own, a listed one, or on this machine, or is not there.

    A browser asks nobody before it opens a WebSocket or sends a plain form, so that any page could otherwise talk to
    a gateway that lets its machine's callers in without a key. A page from this machine may: a development server's
    proxy often names the gateway as Host, and leaves the page's Origin. What a page loads as a script or an image
    bears no Origin, and the page learns whether that was there; browsers say of it that it is another site's.
    """
    found = {name: value.decode("latin-1") for name, value in headers if name in _OF_PAGES}
    origin = found.get(b"origin")
    if origin is None:
        elsewhere = found.get(b"sec-fetch-site") in ("cross-site", "same-site")
        return not elsewhere or found.get(b"sec-fetch-mode") == "navigate"
    host = origin.partition("://")[2]
    return origin in allowed or host == found.get(b"host") or is_local_host(host.encode("latin-1"))


def is_own_page(headers: Headers, public_url: str) -> bool:
    """Return True where a request's Origin is there, and exactly this server's: by `public_url`, or by the Host."""
    found = {name: value.decode("latin-1") for name, value in headers if name in _OF_PAGES}
    origin = found.get(b"origin", "")
    scheme, _, host = origin.partition("://")
    if public_url and origin == "/".join(public_url.split("/", 3)[:3]):
        return True
    return scheme in ("http", "https") and host != "" and host == found.get(b"host")


def is_elsewhere(headers: Headers, public_url: str) -> bool:
    """Return True where a page of another origin asks: by its Origin, or as the browser says of a page that sends none.

    A link that leads here is followed by the browser itself, and is no reading by that page.
    """
    found = {name: value for name, value in headers if name in _OF_PAGES}
    if b"origin" in found:
        return not is_own_page(headers, public_url)
    site, mode = found.get(b"sec-fetch-site"), found.get(b"sec-fetch-mode")
    return site in (b"cross-site", b"same-site") and mode != b"navigate"
