"""Recovery: closes the traces that a crash left open. Called once by app.py, as the store's owner, before any chat."""

from __future__ import annotations

from gateway.storage.engine import Engine
from gateway.storage.scripts import ops

_BATCH = 50


async def recover(store: Engine, now: int) -> int:
    """Close every running trace as `interrupted`, with the text of its checkpoints. Return how many there were."""
    closed = 0
    while some := await store.write(ops.recover, now, _BATCH):
        closed += some
    return closed
