"""Both engines, for the tests of the scripts: what they assert holds on either."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.domain.trace import Outcome
from gateway.storage.engine import Engine
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.traces import begin_trace, finish_trace
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.postgres import PostgresEngine, PostgresServer
from tests.support.rows import a_rating, a_start, a_write, an_end


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


@pytest.fixture
async def chats(engine: Engine) -> list[str]:
    """Ten chats, the oldest first: the odd ones are tagged, the first three rated, the last stopped."""
    made = []
    for at in range(10):
        tags = {"odd": "yes"} if at % 2 else {}
        start = a_start(request_time=1_000 + at, tags=tags, user_id=f"u{at % 3}", request_preview=f"Question {at}")
        await engine.write(begin_trace, start)
        outcome = Outcome.STOPPED if at == 9 else Outcome.COMPLETE
        await engine.write(finish_trace, an_end(start, outcome=outcome, response_preview="Ärger"))
        if at < 3:
            await engine.write(record_feedback, a_write(start.trace_id, a_rating(value=at > 0)))
            await engine.write(record_feedback, a_write(start.trace_id, a_rating(name="user_score", value=10 - at)))
        made.append(start.trace_id)
    return made
