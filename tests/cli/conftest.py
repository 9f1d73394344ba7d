"""A store with something in it, and the command line run on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.domain.ids import now_ms
from gateway.storage.scripts.feedback import record_feedback
from gateway.storage.scripts.traces import begin_trace, finish_trace
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.rows import a_rating, a_start, a_write, an_end

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs one command in the store's directory: (exit code, stdout, stderr). Not within a running loop."""
    monkeypatch.chdir(tmp_path)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_") and k != "OPENAI_API_KEY"}
    monkeypatch.setattr(os, "environ", clean)

    def run(*argv: str) -> tuple[int, str, str]:
        try:
            code = main(argv)
        except SystemExit as exit:
            code = int(exit.code or 0)
        return code, *capfd.readouterr()

    return run


async def chat(store: SQLiteStore, *, ago_s: float = 60, **over: Any) -> str:
    """One chat that ended; its trace ID."""
    time = now_ms() - round(ago_s * 1000)
    start = a_start(**({"request_time": time} | {k: v for k, v in over.items() if k not in _OF_THE_END}))
    await store.write(begin_trace, start)
    end = {"end_time": time + 500, "duration_ms": 500} | {k: v for k, v in over.items() if k in _OF_THE_END}
    await store.write(finish_trace, an_end(start, **end))
    return start.trace_id


_OF_THE_END = {"outcome", "response", "response_preview", "parts", "error_message", "error_code", "usage"}


async def rate(store: SQLiteStore, trace_id: str, user_id: str = "ann", *, ago_s: float = 30, **over: Any) -> None:
    """One rating."""
    time = now_ms() - round(ago_s * 1000)
    rating = a_rating(**over)
    await store.write(record_feedback, a_write(trace_id, rating, source_id=user_id, now=time))
