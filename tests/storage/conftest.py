"""Both engines, for the tests of the scripts: what they assert holds on either."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.storage.engine import Engine
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.postgres import PostgresEngine, PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a process."""
    # Not pytest's own directory, which PostgreSQL's user may not enter.
    with PostgresServer(Path(tempfile.mkdtemp(prefix="gateway-postgres-"))) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    """An empty store on each engine in turn."""
    opened: Engine
    if request.param == "sqlite":
        opened = await SQLiteStore.open(tmp_path / "gateway.db", own=True)
    else:
        opened = await PostgresEngine.open(request.getfixturevalue("postgres"))
    try:
        yield opened
    finally:
        await opened.close()
