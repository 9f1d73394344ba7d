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
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.config.load import load
from gateway.config.schema import Config, ConfigError

log = logging.getLogger(__name__)


async def watch(
    path: Path | None,
    config: Config,
    on_change: Callable[[Config], None],
    env: Mapping[str, str],
    *,
    poll_s: float = 1,
) -> None:
    """Call `on_change` with each new valid configuration, until cancelled. `config` is the one in use."""
    loop, hangup = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hangup.set)
    loaded = seen = _signature(path)
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
                config = _reload(path, config, on_change, env)
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _signature(path: Path | None) -> tuple[int, int, int] | None:
    """What tells one state of the file from another; None while there is no file."""
    try:
        stat = path.stat() if path else None
    except OSError:
        return None
    return stat and (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _reload(path: Path | None, old: Config, on_change: Callable[[Config], None], env: Mapping[str, str]) -> Config:
    try:
        new = load(path, env)
    except ConfigError as error:
        log.error("config not reloaded, the old one stays: %s", error)
        return old
    if new == old:
        log.info("config reloaded: nothing changed")
        return old
    fixed = {
        "server.host": (old.server.host, new.server.host),
        "server.port": (old.server.port, new.server.port),
        "store": (old.store, new.store),
    }
    for key, (was, wanted) in fixed.items():
        if was != wanted:
            log.warning("config: a change of %s needs a restart", key)
    try:
        on_change(new)
    except Exception:
        log.exception("config not reloaded, the old one stays")
        return old
    log.info("config reloaded")
    return new
