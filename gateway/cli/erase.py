"""`gateway erase`: by the server that owns the store, where one runs; else here, as its owner for that while."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import msgspec

from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.domain import ids
from gateway.erasure import ANSWERED, ASKED, Answer, Erased, Erasure, Wanted
from gateway.errors import Conflict, GatewayError
from gateway.storage.recovery import recover
from gateway.storage.scripts.erase import drop_note, notes, put_note
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.storage.sqlite.file import locate, problem

_LOOK_S = 0.1
_ROUND_S = 5.0  # then somebody else may own the store, or nobody
_answer = msgspec.json.Decoder(Answer)


async def erase(path: Path, config: Config, wanted: Wanted, *, patience_s: float = 600) -> Erased:
    """Raises GatewayError, after `patience_s` too where a server doesn't get it done: it goes on all the same."""
    path = locate(path)
    if not path.exists():
        raise problem(path, "there is no such file.")
    name = secrets.token_hex(8)
    try:
        async with asyncio.timeout(patience_s):
            while True:
                try:
                    store = await SQLiteStore.open(path, own=True, create=False)
                except Conflict:
                    erased = await _by_the_server(path, name, wanted)
                else:
                    erased = await _here(store, config, name, wanted)
                if erased is not None:
                    return erased
    except TimeoutError:
        raise GatewayError("The server has not done it yet; it will, once its store and its streams let it.") from None


async def _here(store: SQLiteStore, config: Config, name: str, wanted: Wanted) -> Erased:
    """No server runs: what one left open is closed first, so that it is erased too."""
    try:
        await recover(store, ids.now_ms())
        await store.write(drop_note, ANSWERED + name)
        return await Erasure(store, None, Current(config)).erase(wanted, note=ASKED + name, rewrite=True)
    finally:
        await store.close()


async def _by_the_server(path: Path, name: str, wanted: Wanted) -> Erased | None:
    """Leave a note, and wait a round for the answer. Left again, it does no harm: nothing is erased twice."""
    store = await SQLiteStore.open(path, own=False, create=False)
    try:
        await store.write(put_note, ASKED + name, msgspec.json.encode(wanted).decode())
        for _ in range(round(_ROUND_S / _LOOK_S)):
            await asyncio.sleep(_LOOK_S)
            if found := await store.read(notes, ANSWERED + name):
                await store.write(drop_note, ANSWERED + name)
                answer = _answer.decode(found[ANSWERED + name])
                if answer.erased is None:
                    raise GatewayError(answer.error or "The server could not do it.")
                return answer.erased
        return None
    finally:
        await store.close()
