"""Opens a TCP connection to a host by its name: to the first of its addresses that answers.

Format: RFC 8305 ("Happy Eyeballs"), sections 4 and 5: the families of addresses take turns, and each address has a head
start before the next one is tried beside it. (asyncio has this, uvloop has not.) It knows neither TLS nor HTTP. Used by
client.py only.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

HEAD_START_S = 0.25
_Address = tuple[int, int, int, Any]  # family, type, protocol, and what `connect` takes


async def dial(host: str, port: int, timeout_s: float) -> socket.socket:
    """Return a socket that is connected to one of the host's addresses. Raise OSError, or UnicodeError for no name.

    It knows no timeout, but `timeout_s` is how long the caller waits: all of the addresses get a part of it.
    """
    waiting = await _addresses(host, port)
    if len(waiting) == 1:
        return await _connect(waiting[0])
    head_start_s = min(HEAD_START_S, timeout_s / (len(waiting) + 1))
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[BaseException] = []
    found: list[socket.socket] = []
    try:
        while not found and (waiting or running):
            if waiting:
                running.add(asyncio.create_task(_connect(waiting.pop(0))))
            done, running = await asyncio.wait(
                running, timeout=head_start_s if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            _sort(done, found, errors)
    finally:
        for task in running:
            task.cancel()
        if running:
            late = await asyncio.gather(*running, return_exceptions=True)
            found += (each for each in late if isinstance(each, socket.socket))
    if not found:
        raise errors[0]
    for extra in found[1:]:
        extra.close()
    return found[0]


def _sort(done: set[asyncio.Task[socket.socket]], found: list[socket.socket], errors: list[BaseException]) -> None:
    for task in done:
        error = task.exception()
        if error is None:
            found.append(task.result())
        else:
            errors.append(error)


async def _connect(address: _Address) -> socket.socket:
    family, kind, protocol, where = address
    connection = socket.socket(family, kind, protocol)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, where)
    except BaseException:
        connection.close()
        raise
    return connection


async def _addresses(host: str, port: int) -> list[_Address]:
    """Return the host's addresses, in the system's order but that their families take turns."""
    try:  # what is an address already needs no thread that looks it up
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    families: dict[int, dict[_Address, None]] = {}
    for family, kind, protocol, _, where in found:
        families.setdefault(family, {})[family, kind, protocol, where] = None
    turns = itertools.zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]
