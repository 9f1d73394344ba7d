"""The configuration is loaded anew when its file changes or SIGHUP comes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.config.current import Current
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.config.watch import watch


class Watched:
    """A watcher on a real file, and the configurations it put in force."""

    def __init__(self, path: Path) -> None:
        self.path, self.configs, self.news = path, list[Config](), asyncio.Event()
        self.trouble: Exception | None = None
        self.current = Current(self.load())
        self.current.subscribe(self._on_change)
        self.configs.clear()
        self.news.clear()

    def load(self) -> Config:
        return load(self.path, {})

    def _on_change(self, config: Config) -> None:
        self.news.set()
        if self.trouble:
            raise self.trouble
        self.configs.append(config)

    async def next(self) -> Config:
        async with asyncio.timeout(10):
            await self.news.wait()
        self.news.clear()
        return self.configs[-1]


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    path = tmp_path / "config.toml"
    path.write_text("")
    seen = Watched(path)
    task = asyncio.create_task(watch(path, seen.load, seen.current, poll_s=0.01))
    await asyncio.sleep(0)
    yield seen
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - a log line sets no event
            await asyncio.sleep(0.01)


async def test_a_changed_file_is_loaded(watched: Watched) -> None:
    """Written in place."""
    watched.path.write_text("[streaming]\nheartbeat_s = 3")
    assert (await watched.next()).streaming.heartbeat_s == 3


async def test_a_file_replaced_by_rename_is_loaded(watched: Watched) -> None:
    """As editors and Kubernetes do; a moment without a file is no news."""
    watched.path.unlink()
    await asyncio.sleep(0.03)
    new = watched.path.with_suffix(".new")
    new.write_text("[streaming]\nheartbeat_s = 4")
    new.rename(watched.path)
    assert (await watched.next()).streaming.heartbeat_s == 4


async def test_an_invalid_file_leaves_the_old_config(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its path; the next good one is taken."""
    watched.path.write_text("[server]\nprot = 1")
    await until(lambda: "$.server.prot: unknown key" in caplog.text)
    assert not watched.configs
    watched.path.write_text("[streaming]\nheartbeat_s = 5")
    assert (await watched.next()).streaming.heartbeat_s == 5


async def test_a_hangup_loads_at_once(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """SIGHUP with nothing changed says so."""
    caplog.set_level("INFO")
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: "nothing changed" in caplog.text)
    assert not watched.configs


async def test_what_needs_a_restart_is_named(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """The rest of the change is taken; the address and the store in force stay those of the process."""
    watched.path.write_text('[server]\nport = 9\n[store]\nurl = "sqlite:///other.db"\n[streaming]\nheartbeat_s = 6')
    config = await watched.next()
    assert config.streaming.heartbeat_s == 6
    assert (config.server.port, config.store.url) == (8000, "sqlite:///gateway.db")
    assert "server.port needs a restart" in caplog.text
    assert "store.url needs a restart" in caplog.text
    assert "server.host" not in caplog.text


async def test_retention_needs_no_restart(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """It counts from the next sweep on, and nobody is told otherwise."""
    watched.path.write_text("[store]\nretention_days = 7\nmax_size_mb = 100")
    config = await watched.next()
    assert (config.store.retention_days, config.store.max_size_mb) == (7, 100)
    assert "restart" not in caplog.text


async def test_a_failing_subscriber_does_not_end_the_watch(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the next change comes through."""
    watched.trouble = RuntimeError("boom")
    watched.path.write_text("[streaming]\nheartbeat_s = 7")
    await until(lambda: "boom" in caplog.text)
    watched.trouble = None
    watched.news.clear()
    watched.path.write_text("[streaming]\nheartbeat_s = 8.5")
    assert (await watched.next()).streaming.heartbeat_s == 8.5


async def test_without_a_file_only_a_hangup_counts(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing to look at, nothing goes wrong."""
    caplog.set_level("INFO")
    task = asyncio.create_task(watch(None, Config, Current(Config()), poll_s=0.01))
    await asyncio.sleep(0.03)
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: "nothing changed" in caplog.text)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
