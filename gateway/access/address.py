"""Network addresses as callers show them: parsed, found behind proxies, and whether they are this machine's own.

It is not who may call from where: that is local.py's and limits.py's, which ask here.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = Iterable[tuple[bytes, bytes]]  # as ASGI has them: names in lower case

MOST_HOPS = 32  # of an X-Forwarded-For that are looked at
_MAX_CHARS = 64  # longer ones are no addresses, and not worth keeping


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return addresses and networks as networks. Raise ValueError for other texts."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def client_address(headers: Headers, peer: str | None, trusted: Sequence[Network]) -> Address | None:
    """Return the nearest address that is no trusted proxy's; None where there is none.

    `X-Forwarded-For` is read from the right, as each proxy adds to the end, and only where a trusted proxy sent it.
    """
    address = _parsed(peer or "")
    if trusted and _is_in(trusted, address):
        hops = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        for hop in reversed(hops.rsplit(b",", MOST_HOPS)[-MOST_HOPS:]):
            if (found := _parsed(_without_port(hop.strip().decode("latin-1")))) is None:
                break  # what stands left of it was said by whoever wrote this
            address = found
            if not _is_in(trusted, address):
                break
    return address


def sent_by(peer: str | None, networks: Sequence[Network]) -> bool:
    """Return whether a connection's other end is in one of these networks."""
    return _is_in(networks, _parsed(peer or ""))


def subscriber(address: Address | None) -> str:
    """Return the name of whoever has the address: whoever has one of IPv6 has the whole /64 that it lies in."""
    if isinstance(address, ipaddress.IPv6Address):
        return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address) if address else "unknown"


@functools.lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return True for localhost, 127.0.0.0/8 and ::1, in brackets or not."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


@functools.lru_cache(maxsize=256)
def is_local_host(header: bytes) -> bool:
    """Return True where a Host header names this machine, with any port, IPv6 in brackets."""
    text = header.decode("latin-1")
    name, colon, port = text.rpartition(":")
    if colon and not text.endswith("]"):
        return port.isascii() and port.isdigit() and is_loopback(name)
    return is_loopback(text)


def _is_in(networks: Sequence[Network], address: Address | None) -> bool:
    return address is not None and any(address in network for network in networks)


def _parsed(host: str) -> Address | None:
    return _parse(host) if len(host) <= _MAX_CHARS else None


@functools.lru_cache(maxsize=4096)
def _parse(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _without_port(hop: str) -> str:
    """Return the address of a hop, which some proxies write as 192.0.2.1:4711 or [2001:db8::1]:4711."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
