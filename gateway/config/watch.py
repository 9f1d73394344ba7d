"""Reloads the configuration when its file changes or SIGHUP arrives; the server runs `watch` as a task.

It looks at the file once a second instead of asking the kernel: the store usually lies in the same directory, whose
every write would be an event, and a stat also sees a file that was replaced by rename, by a changed symbolic link
(as Kubernetes does), or over a network.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.config.current import Current
from gateway.config.schema import Config, ConfigError

_log = logging.getLogger("gateway.config")


async def watch(path: Path | None, load: Callable[[], Config], current: Current, *, poll_s: float = 1) -> None:
    """Put each new valid configuration in force, until cancelled. `load` reads it from `path` and the rest."""
    loop, hangup = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    loaded = seen = _signature(path)
    config = current.value
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll_s):
                    await hangup.wait()
            before, seen = seen, _signature(path)
            # A file that still changes is half written: it is read once it looks the same twice.
            if hangup.is_set() or (seen is not None and before == seen != loaded):
                hangup.clear()
                loaded = seen
                config = _reload(load, config, current)
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _signature(path: Path | None) -> tuple[int, int, int] | None:
    """Return what tells one state of the file from another; None while there is no file."""
    try:
        stat = path.stat() if path else None
    except OSError:
        return None
    return stat and (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _reload(load: Callable[[], Config], old: Config, current: Current) -> Config:
    """Return what was loaded, or `old`, which was loaded before, where the new one can't be taken."""
    try:
        new = load()
    except ConfigError as error:
        _log.error("The configuration was not reloaded, and the old one stays: %s", error)
        return old
    if new == old:
        _log.info("The configuration was reloaded: nothing changed.")
        return old
    fixed = {
        "server.host": (old.server.host, new.server.host),
        "server.port": (old.server.port, new.server.port),
        "store.url": (old.store.url, new.store.url),
    }
    for key, (was, wanted) in fixed.items():
        if was != wanted:
            _log.warning("A change of %s needs a restart.", key)
    try:
        current.replace(_without_restart(current.value, new))
    except Exception:
        _log.exception("The configuration was not reloaded, and the old one stays.")
        return old
    _log.info("The configuration was reloaded.")
    return new


def _without_restart(running: Config, new: Config) -> Config:
    """Return the new configuration with the address and the store's URL that the running process has."""
    replace = msgspec.structs.replace
    server = replace(new.server, host=running.server.host, port=running.server.port)
    return replace(new, server=server, store=replace(new.store, url=running.store.url))
