"""Retention: deletes traces that are too old or too many, in small batches. One background task, started by app.py.

Each batch is a write like any other, so chats and ratings get their turn between two batches. What was deleted is
overwritten, in the store's log too. What stays of ratings is in scripts/kept.py.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Protocol

from gateway.domain import ids
from gateway.errors import StoreUnavailable
from gateway.storage.engine import Store
from gateway.storage.scripts.kept import Declared
from gateway.storage.scripts.ops import expire, expire_oldest

BATCH = 100
_FIRST = 10  # of the oldest, which tell how many more are enough: large ones must not take all others along
# Shares of the cap: deletion starts at HIGH and ends at LOW, so that the file stays below the cap between two sweeps.
HIGH, LOW = 0.95, 0.85
DAY_MS = 24 * 3600 * 1000
_log = logging.getLogger("gateway.storage")


class StoreConfig(Protocol):
    """How much is kept: `[store]` of the configuration."""

    @property
    def retention_days(self) -> float: ...
    @property
    def max_size_mb(self) -> int: ...


async def sweep(store: Store, config: StoreConfig, now: int, declared: Declared = ()) -> int:
    """Delete what is due at `now`. Return how many traces were deleted. `declared` is what stays of ratings' texts."""
    before = int(now - config.retention_days * DAY_MS) if config.retention_days else 0
    deleted = 0
    while True:
        some = await store.write(expire, before, now - DAY_MS, BATCH, declared)
        deleted += some
        if some < BATCH:
            break
    if config.max_size_mb:
        deleted += await _keep_below(store, config.max_size_mb * 1_000_000, declared)
    return deleted


async def _keep_below(store: Store, cap: int, declared: Declared) -> int:
    """Delete the oldest traces while too much is in use, then shrink the file if it is still above the cap."""
    deleted, batch = 0, _FIRST
    if (used := await store.used_bytes()) > cap * HIGH:
        while used > cap * LOW and (some := await store.write(expire_oldest, batch, declared)):
            deleted += some
            before, used = used, await store.used_bytes()
            each = max(1.0, (before - used) / some)
            batch = min(BATCH, math.ceil(max(1.0, used - cap * LOW) / each))
    while await store.size_bytes() > cap and await store.trim():
        pass
    return deleted


async def keep_sweeping(
    store: Store,
    config: Callable[[], StoreConfig],
    interval_s: float = 10,
    declared: Callable[[], Declared] = frozenset,
) -> None:
    """Sweep for ever. `config` and `declared` are called for each sweep, as the configuration may be reloaded."""
    owed = False  # what was deleted is still in the log
    while True:
        try:
            if deleted := await sweep(store, config(), ids.now_ms(), declared()):
                _log.info("Retention deleted traces: %d.", deleted)
                owed = True
            if owed:
                owed = not await store.purge_deleted(rewrite=False)
        except StoreUnavailable:
            _log.warning("Retention waits, since the store can't write.")
        except Exception:
            _log.exception("Retention failed.")
        await asyncio.sleep(interval_s)
