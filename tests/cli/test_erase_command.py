"""`gateway erase` itself: who is asked, and what it does when the server doesn't answer."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from gateway import erasure
from gateway.cli import erase as command
from gateway.cli.erase import erase
from gateway.config.current import Current
from gateway.config.schema import Config, StoreConfig
from gateway.erasure import Erased, EraseRequest, Erasure, Mailbox
from gateway.errors import GatewayError
from gateway.storage.scripts.erase import notes
from gateway.storage.sqlite import engine
from gateway.storage.sqlite.engine import SQLiteStore
from tests.cli.conftest import Run, chat

ANN = EraseRequest("ann")


def at(store: SQLiteStore) -> Config:
    return Config(store=StoreConfig(url=f"sqlite:///{store.path}"))


async def fill() -> None:
    """A store with one chat of Ann's."""
    store = await SQLiteStore.open(Path("gateway.db"), own=True)
    await chat(store, user_id="ann")
    await store.close()


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_script_is_not_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nobody to answer."""
    asyncio.run(fill())
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert run("erase", "--user", "ann")[1:] == ("erased: 1 traces, 0 ratings; their numbers are kept\n", "")


@pytest.mark.parametrize(
    ("typed", "code", "project"),
    [("y\n", 0, None), ("Yes\n", 0, "default"), ("n\n", 1, None), ("\n", 1, None), ("", 1, "x")],
)
def test_it_asks(run: Run, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, project: str | None) -> None:
    """And does it for a yes alone."""

    asyncio.run(fill())
    monkeypatch.setattr("sys.stdin", Keyboard(typed))
    found, out, err = run("erase", "--user", "ann", *(["--project", project] if project else []))
    assert (found, err.startswith("Erase all content of the user ann in ")) == (code, True)
    assert (out == "erased: 1 traces, 0 ratings; their numbers are kept\n") is (code == 0)
    assert ("Nothing was erased." in err) is (code == 1)
    assert ("in project" in err) is (project is not None)


@pytest.mark.parametrize("argv", [["--user", ""], ["--user", "x" * 251], ["--user", "\udcff"], []])
def test_bad_usage(run: Run, argv: list[str]) -> None:
    """One line, exit 2."""
    code, out, err = run("erase", "--yes", *argv)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--user" in err


def test_a_large_store_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server didn't write it anew."""

    async def large(*_: object) -> Erased:
        return Erased(1, 2, False)

    monkeypatch.setattr(command, "erase", large)
    code, out, err = run("erase", "--user", "ann", "--yes")
    assert (code, out.startswith("erased: 1 traces, 2 ratings")) == (0, True)
    assert "while the server is stopped" in err


async def test_a_server_that_does_not_answer(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command gives up after a while, says so, and leaves its note."""
    monkeypatch.setattr(command, "_ROUND_S", 0.1)
    monkeypatch.setattr(command, "_LOOK_S", 0.01)
    with pytest.raises(GatewayError, match="not done it yet"):
        await erase(engine, at(store), ANN, patience_s=0.5)
    assert len(await Mailbox(store).requests()) == 1


async def test_a_server_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the command owns the store, and does it, note and all."""
    monkeypatch.setattr(command, "_ROUND_S", 0.1)
    monkeypatch.setattr(command, "_LOOK_S", 0.01)
    server = await SQLiteStore.open(tmp_path / "gateway.db", own=True)
    await chat(server, user_id="ann")
    asked = asyncio.create_task(erase(engine, at(server), ANN))
    async with asyncio.timeout(10):
        while not await Mailbox(server).requests():  # noqa: ASYNC110 - a row sets no event
            await asyncio.sleep(0.01)
    await server.close()
    assert await asked == Erased(1, 0, True)
    store = await SQLiteStore.open(tmp_path / "gateway.db", own=True)
    assert await store.read(notes, "erase") == {}
    await store.close()


async def test_a_server_that_cannot(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reason is the command's."""
    monkeypatch.setattr(erasure, "POLL_S", 0.01)
    follows = asyncio.create_task(Erasure(store, None, Current(Config())).serve_mailbox())
    try:
        with pytest.raises(GatewayError, match="1 to 250 characters"):
            await erase(engine, at(store), EraseRequest(""))
        assert await erase(engine, at(store), ANN) == Erased(0, 0, True)
    finally:
        follows.cancel()
        await asyncio.gather(follows, return_exceptions=True)
