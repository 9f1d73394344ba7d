"""What people and models say can't move a terminal, forge a line or a row: every command, on a real terminal.

One store with all of tests/nasties.py in it. A line of output may hold printable text and the colours that the
gateway itself puts there; the number of lines is the number of records.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.trace import Outcome
from gateway.observability.lines import pretty_line
from gateway.observability.logs import Logs, Writer
from gateway.storage.sqlite.engine import SQLiteStore
from tests.cli.conftest import chat, rate
from tests.conftest import StartGateway
from tests.support.activities import chat as chat_record
from tests.support.activities import rating as rating_record
from tests.support.hostile_text import NASTIES
from tests.support.http_client import ask, call

COLOURS = re.compile(r"\x1b\[\d{1,2}(;\d{1,2})*m")
SURROGATE = "half \ud800 a character"  # can't be stored; a record on its way may hold one


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a gateway.db in it."""
    directory = tmp_path_factory.mktemp("hostile")

    async def fill() -> None:
        store = await SQLiteStore.open(directory / "gateway.db", own=True)
        for name, nasty in NASTIES.items():
            said = json.dumps([{"role": "assistant", "content": nasty}], ensure_ascii=False)
            made: dict[str, Any] = {
                "user_id": nasty,
                "session_id": nasty,
                "request_preview": nasty,
                "response_preview": nasty,
            }
            asked: dict[str, Any] = {"request": said, "response": said, "tags": {nasty: nasty}, "error_message": nasty}
            trace_id = await chat(store, **made, **asked, outcome=Outcome.UPSTREAM_ERROR)
            await rate(store, trace_id, nasty, name=nasty, value=nasty, rationale=nasty, metadata={nasty: nasty})
            await rate(store, trace_id, name, name="user_feedback", value=True, rationale=nasty)
        await store.close()

    asyncio.run(fill())
    return directory


def on_a_terminal(directory: Path, *argv: str, enough: Callable[[str], bool] | None = None) -> str:
    """What the command writes where stdout, stderr and stdin are one terminal. With `enough`, it is ended then."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_") and k != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", *argv],
        cwd=directory,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment | {"COLUMNS": "300", "TERM": "xterm", "PYTHONUTF8": "1"},
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + 30
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.05)[0]:
                try:
                    piece = os.read(ours, 65_536)
                except OSError:  # Linux says so that the other side is closed
                    break
                if not piece:
                    break
                shown += piece
            if enough is not None and enough(shown.decode("utf-8", "replace")):
                process.terminate()
                break
        os.close(ours)
    return shown.decode("utf-8")


def clean_lines(shown: str) -> list[str]:
    """The lines, without our colours; fails where anything else in them is not plain text."""
    lines = [COLOURS.sub("", line) for line in shown.replace("\r\n", "\n").split("\n")]
    for line in lines:
        assert line.replace("\u200d", "").isprintable(), ascii(line)
    return [line for line in lines if line]


@pytest.mark.parametrize("extra", [[], ["--json"], ["--errors"], ["--feedback"]])
def test_tail(directory: Path, extra: list[str]) -> None:
    """A record is a line."""
    lines = clean_lines(on_a_terminal(directory, "tail", "--since", "1d", *extra))
    share = {"--errors": 1, "--feedback": 2}.get("".join(extra), 3)
    assert len(lines) == share * len(NASTIES)
    if extra == ["--json"]:
        assert {json.loads(line)["event"] for line in lines} == {"chat", "rating"}


@pytest.mark.parametrize("extra", [[], ["--by", "model"], ["--json"]])
def test_report(directory: Path, extra: list[str]) -> None:
    """A dimension is a line."""
    lines = clean_lines(on_a_terminal(directory, "report", *extra))
    if extra == ["--json"]:
        assert len(json.loads(lines[0])["total"]["dimensions"]) == len(NASTIES)
    else:
        assert len(lines) == 4 + len(NASTIES) if not extra else 5 + 2 * len(NASTIES)


@pytest.mark.parametrize("what", ["traces", "assessments"])
def test_export_of_json(directory: Path, what: str) -> None:
    """A record is a line, and loses nothing."""
    lines = clean_lines(on_a_terminal(directory, "export", what))
    assert len(lines) == (1 if what == "traces" else 2) * len(NASTIES)
    field = "user_id" if what == "traces" else "rationale"
    assert {json.loads(line)[field] for line in lines} == set(NASTIES.values())


@pytest.mark.parametrize("what", ["traces", "assessments"])
def test_export_of_csv(directory: Path, what: str) -> None:
    """On a terminal a record is a line too: what breaks one is an escape there."""
    lines = clean_lines(on_a_terminal(directory, "export", what, "--format", "csv"))
    assert len(lines) == 1 + (1 if what == "traces" else 2) * len(NASTIES)
    rows = list(csv.reader(io.StringIO("\n".join(lines))))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert not any(cell.startswith(("=", "+", "-", "@", "\\t=", "\\r=")) for row in rows for cell in row)


def test_a_progress_bar_is_a_terminals(directory: Path, tmp_path: Path) -> None:
    """It goes to stderr, not into the file."""
    target = tmp_path / "out.csv"
    shown = on_a_terminal(directory, "export", "traces", "--format", "csv", "-o", str(target))
    assert "traces" in shown
    assert f"out.csv: {len(NASTIES)}." in shown
    with target.open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + len(NASTIES)


def test_erase_asks(directory: Path, tmp_path: Path) -> None:
    """On a terminal, and shows whom it means without obeying them; anything but yes leaves all as it is."""
    nasty = NASTIES["window title"]
    shown = on_a_terminal(directory, "erase", "--user", nasty, enough=lambda shown: "[y/N]" in shown)
    (question,) = clean_lines(shown)
    assert r"\x1b]0;owned\x07" in question


# --- the log ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("nasty", [*NASTIES.values(), SURROGATE], ids=[*NASTIES, "surrogate"])
def test_a_log_line(nasty: str, pretty: bool) -> None:
    """A chat, a rating, and a message of Python's logging with a traceback: each is what it is, and no more."""
    read, write = os.pipe()
    logs = Logs(Writer(write), pretty=pretty, colour=pretty)
    logs.write_activity(chat_record(model=nasty, error=nasty, preview=nasty))
    logs.write_activity(rating_record(nasty, rater=nasty, comment=nasty))
    try:
        raise ValueError(nasty)
    except ValueError:
        logs.emit(logging.LogRecord("gateway.x", 30, "x", 1, "says %s", (nasty,), sys.exc_info()))
    logs.close()
    os.close(write)
    with open(read, "rb") as file:
        shown = file.read().decode()
    lines = clean_lines(shown)
    if pretty:
        assert [line for line in lines if re.match(r"\d\d:\d\d:\d\d  ", line)] == lines[:3]
        assert all("forged" not in line.split("  ")[0] for line in lines)
    else:
        chats, rating, said = (json.loads(line) for line in lines)
        assert (chats["event"], rating["event"], said["event"]) == ("chat", "rating", "log")
        assert "error" not in chats
        assert "preview" not in chats


@pytest.mark.parametrize("width", [None, 80, 200])
@pytest.mark.parametrize("nasty", [*NASTIES.values(), SURROGATE], ids=[*NASTIES, "surrogate"])
def test_a_pretty_line(nasty: str, width: int | None) -> None:
    """At any width, cut or not, even in the middle of an escape."""
    for record in (
        chat_record(model=nasty, error=nasty, preview=nasty),
        rating_record(nasty, rater=nasty, comment=nasty),
    ):
        assert len(clean_lines(pretty_line(record, width=width, colour=True))) == 1


def test_a_gateways_own_log(start_gateway: StartGateway) -> None:
    """What comes by HTTP: one JSON line a chat and a rating, whatever they say."""
    gateway = start_gateway({"models": {"default": {"targets": ["demo/lorem-1-0ms"]}}})
    traces: dict[str, Any] = {}
    for name, nasty in NASTIES.items():
        traces[name] = ask(gateway, message=nasty, user_id=nasty[:250])["trace_id"]
        rated = call(gateway, "POST", f"/feedback?trace_id={traces[name]}", {"name": nasty[:250], "value": nasty})
        assert rated.status == 200, rated.body
    gateway.terminate()
    lines = [line for line in gateway.stdout_path.read_bytes().split(b"\n") if line.startswith(b"{")]
    assert all(line.isascii() and line.decode().isprintable() for line in lines)
    records = [json.loads(line) for line in lines]
    assert [each["trace_id"] for each in records if each["event"] == "chat"] == list(traces.values())
    assert [each["name"] for each in records if each["event"] == "rating"] == [n[:250] for n in NASTIES.values()]
