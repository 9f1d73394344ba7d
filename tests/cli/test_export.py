"""`gateway export`: what leaves the store, in which form, and where it goes."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import export as exporting
from gateway.cli.export import parse_filters
from gateway.domain.trace import Outcome
from gateway.storage.scripts import export as scripts
from gateway.storage.scripts.export import Query
from gateway.storage.scripts.keys import add_key
from gateway.storage.scripts.traces import begin_trace
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.storage.sqlite.migrate import migrate
from gateway.storage.sqlite.row_reader import reading
from tests.cli.conftest import Run, chat, rate
from tests.support.hostile_text import NASTIES
from tests.support.rows import a_key, a_start


@contextmanager
def owned() -> Iterator[tuple[asyncio.Runner, SQLiteStore]]:
    """A store that its server has open, outside of any loop."""
    with asyncio.Runner() as runner:
        store = runner.run(SQLiteStore.open(Path("gateway.db"), own=True))
        try:
            yield runner, store
        finally:
            runner.run(store.close())


def jsonl(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.split("\n")[:-1]]


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def _seed(store: SQLiteStore) -> tuple[str, str]:
    asked = '[\n  {"role": "user",\r\n "content": "Grüße\\nWelt 1e999 \\ud800"}\n]'
    first = await chat(store, user_id="ann", request=asked, tags={"a": "b"}, model="m1")
    second = await chat(store, user_id="ben", outcome=Outcome.TIMEOUT, error_message="late", ago_s=7200)
    await store.write(begin_trace, a_start())
    await rate(store, first, value=True, rationale='say "hi",\nbye', metadata={"reasons": '["x"]'})
    await rate(store, first, value=False, rationale="no")
    await rate(store, second, "ben", name="user_accuracy", value=0.8, metadata={"score": "4", "scale": "1-5"})
    await rate(store, second, "ben", name="user_tone", value="right")
    await rate(store, second, "ben", name="tags", value=["x", "y"])
    await store.write(add_key, a_key(key_hash="feed" * 16, hint="gw-sk-abcd", name="desk"))
    return first, second


def test_jsonl(run: Run) -> None:
    """Everything as it was stored, content too; one record a line; times as RFC 3339."""
    with owned() as (runner, store):
        first, second = runner.run(_seed(store))
        code, out, err = run("export", "traces")
    assert (code, err) == (0, "")
    found = {row["trace_id"]: row for row in jsonl(out)}
    assert len(found) == 3
    row = found[first]
    assert row["request"][0]["content"] == "Grüße\nWelt 1e999 \ud800"
    assert "Grüße" in out
    assert (row["tags"], row["usage_estimated"], row["total_tokens"]) == ({"a": "b"}, False, 3)
    assert row["request_time"].endswith("Z")
    assert (found[second]["outcome"], found[second]["error_message"]) == ("timeout", "late")
    assert [row["outcome"] for row in found.values()].count(None) == 1


def test_pictures_are_exported_with_the_messages(run: Run) -> None:
    """Whole, although the store has each of them once."""
    asked = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "A" * 5000}}]}]
    with owned() as (runner, store):
        for _ in range(2):
            runner.run(_write(store, begin_trace, a_start(request=json.dumps(asked))))
        code, out, _ = run("export", "traces")
    assert code == 0
    assert [row["request"] for row in jsonl(out)] == [asked] * 2


async def _write(store: SQLiteStore, *script: Any) -> None:
    await store.write(*script)


def test_csv(run: Run) -> None:
    """A row is a row, whatever is in its cells; values stand as people say them."""
    with owned() as (runner, store):
        first, _ = runner.run(_seed(store))
        code, out, _ = run("export", "assessments", "--format", "csv")
        traces = table(run("export", "traces", "--format", "csv")[1])
    assert code == 0
    rows = table(out)
    assert {row["value"] for row in rows} == {"true", "false", "0.8", "right", '["x","y"]'}
    (valid,) = [row for row in rows if row["trace_id"] == first and row["valid"] == "true"]
    (old,) = [row for row in rows if row["trace_id"] == first and row["valid"] == "false"]
    assert (valid["rationale"], old["rationale"]) == ("no", 'say "hi",\nbye')
    assert valid["overrides"] == old["assessment_id"]
    assert out.count("\r\n") == 6
    assert ",0.8," in out
    assert len(traces) == 3
    assert json.loads(next(row for row in traces if row["trace_id"] == first)["request"])[0]["role"] == "user"


def test_no_key_leaves(run: Run) -> None:
    """Nor its hash, nor its beginning, in any form."""
    with owned() as (runner, store):
        runner.run(_seed(store))
        for what in ("traces", "assessments"):
            for form in ("jsonl", "csv"):
                out = run("export", what, "--format", form)[1]
                assert out
                assert "feedfeed" not in out
                assert "gw-sk-" not in out


@pytest.mark.parametrize(
    ("argv", "count"),
    [
        (["traces", "--since", "1h"], 1),
        (["traces", "--filter", "user=ann"], 1),
        (["traces", "--filter", "user=ann", "--filter", "user=ben"], 2),
        (["traces", "--filter", "user=ann", "--filter", "model=default"], 0),
        (["traces", "--filter", "outcome=timeout", "--filter", "state=ERROR"], 1),
        (["traces", "--filter", "user=' OR 1=1 --"], 0),
        (["assessments", "--filter", "valid=true"], 4),
        (["assessments", "--filter", "valid=false"], 1),
        (["assessments", "--filter", "name=user_feedback", "--filter", "value=false"], 1),
        (["assessments", "--filter", "value=0.80"], 1),
        (["assessments", "--filter", "value=right"], 1),
        (["assessments", "--filter", "value="], 0),
        (["assessments", "--since", "1s"], 0),
    ],
)
def test_filters(run: Run, argv: list[str], count: int) -> None:
    """All names must hold, of one name any value; and a count for the progress bar says the same."""
    with owned() as (runner, store):
        runner.run(_seed(store))
        code, out, _ = run("export", *argv)
        assert (code, len(jsonl(out))) == (0, count)
        with reading(f"sqlite:///{store.path}") as reader:
            given = [each for at, each in enumerate(argv) if argv[at - 1] == "--filter"]
            if given:
                what: Any = argv[0]
                assert scripts.count(reader, Query(what, 0, parse_filters(what, given))) == count


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["traces", "--filter", "colour=red"], "one of model, outcome"),
        (["assessments", "--filter", "outcome=complete"], "one of name, value"),
        (["traces", "--filter", "model"], "NAME=VALUE"),
        (["traces", "--filter", "outcome=great"], "complete, drained"),
        (["assessments", "--filter", "valid=yes"], "true, false"),
        (["traces", "--filter", "user=\udcff"], "UTF-8"),
        (["traces", "--filter", "\x1b[31m=x"], "NAME=VALUE"),
        (["everything"], "everything"),
        (["traces", "--format", "parquet"], "parquet"),
        (["traces", "--since", "yesterday"], "yesterday"),
        ([], "what"),
    ],
)
def test_bad_usage(run: Run, argv: list[str], word: str) -> None:
    """One clear line, exit 2."""
    code, out, err = run("export", *argv)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert word in err
    assert err.removesuffix("\n").isprintable()


def test_a_file_appears_when_it_is_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the old one, for its owner alone; where it fails the old one stays, and nothing else."""
    with owned() as (runner, store):
        runner.run(_seed(store))
        Path("out").mkdir()
        Path("out/real.jsonl").write_text("old")
        Path("out/link.jsonl").symlink_to("real.jsonl")
        code, out, err = run("export", "traces", "-o", "out/link.jsonl")
        assert (code, out, err) == (0, "", "Traces written to out/link.jsonl: 3.\n")
        assert Path("out/link.jsonl").is_symlink()
        assert len(jsonl(Path("out/real.jsonl").read_text())) == 3
        assert Path("out/real.jsonl").stat().st_mode & 0o777 == 0o600

        def fail(*_: object) -> str:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(exporting, "json_row", fail)
        code, _, err = run("export", "traces", "-o", "out/real.jsonl")
    assert (code, err.count("\n")) == (1, 1)
    assert len(jsonl(Path("out/real.jsonl").read_text())) == 3
    assert sorted(path.name for path in Path("out").iterdir()) == ["link.jsonl", "real.jsonl"]


@pytest.mark.parametrize("target", ["nowhere/x.csv", "."])
def test_a_file_that_cannot_be_made(run: Run, target: str) -> None:
    """One line, exit 1."""
    with owned():
        code, _, err = run("export", "traces", "-o", target)
    assert (code, err.count("\n")) == (1, 1)


def test_what_is_no_file_is_written_into(run: Run) -> None:
    """A pipe, or /dev/null, is not replaced by a file."""
    with owned() as (runner, store):
        runner.run(_seed(store))
        os.mkfifo("pipe")
        got: list[str] = []
        thread = threading.Thread(target=lambda: got.append(Path("pipe").read_text()))
        thread.start()
        assert run("export", "traces", "-o", "pipe")[0] == 0
        thread.join(10)
        assert len(jsonl(got[0])) == 3
        assert run("export", "traces", "-o", "/dev/null")[0] == 0
    assert not Path("/dev/null").is_file()


ROWS = 101_000


def test_a_damaged_store(run: Run) -> None:
    """One line, exit 1, that names the file."""
    many(Path("gateway.db"), 1_000)
    with Path("gateway.db").open("r+b") as file:
        file.seek(8_192)
        file.write(b"\xff" * 50_000)
    code, _, err = run("export", "traces")
    assert (code, err.count("\n")) == (1, 1)
    assert "damaged" in err


def many(path: Path, rows: int) -> None:
    """That many traces and ratings, by plain SQL."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection)
        connection.execute("BEGIN")
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows:d})"  # noqa: S608
        connection.execute(
            f"{numbers} INSERT INTO traces (trace_id, root_span_id, project, route, state, outcome,"  # noqa: S608
            " request_time, end_time, model, session_id, config_hash, tags, metadata, request)"
            " SELECT printf('tr-%032x', i), 'r', 'p', '/chat', 'OK', 'complete', i, i, 'm', 's', 'h', '{}', '{}',"
            """ '[{"role":"user","content":"' || hex(zeroblob(100)) || '"}]' FROM n"""
        )
        connection.execute(
            f"{numbers} INSERT INTO assessments (assessment_id, trace_id, project, model, kind, name, value,"  # noqa: S608
            " source_type, source_id, create_time, last_update_time, valid, metadata)"
            " SELECT printf('a-%032x', i * 7919 % 1000003), printf('tr-%032x', i), 'p', 'm', 'feedback', 'n', '1',"
            " 'HUMAN', 'u', i / 1000, i, 1, '{}' FROM n"
        )
        connection.execute("COMMIT")


@pytest.mark.parametrize("what", ["traces", "assessments"])
def test_memory_does_not_grow(run: Run, what: Any) -> None:
    """So many rows take no more than a thousand do, and each of them comes once, in order."""
    many(Path("gateway.db"), ROWS)
    store = Path("gateway.db").resolve()
    with reading(f"sqlite:///{store}") as reader:
        exporting.export(reader, Query(what, 0, {"model": ("none",)}), "csv", Path("warm.csv"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert exporting.export(reader, Query(what), "jsonl", Path("all.jsonl")) == ROWS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000  # kB; the file is tens of MB
    with open("all.jsonl") as lines:
        seen = {json.loads(line)["trace_id"] for line in lines}
    assert len(seen) == ROWS


def cli(*argv: str, cwd: Path, **pipes: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "gateway", *argv], cwd=cwd, stdin=subprocess.DEVNULL, **pipes)


def test_a_reader_that_left_is_a_clean_end(tmp_path: Path) -> None:
    """`gateway export traces | head -1`."""
    many(tmp_path / "gateway.db", 5_000)
    with cli("export", "traces", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_rows_may_come_and_go_meanwhile(tmp_path: Path) -> None:
    """The export holds no lock: what it has not come to yet can be deleted, and is not in it."""
    path = tmp_path / "gateway.db"
    many(path, 2_000)
    with reading(f"sqlite:///{path}") as reader, closing(sqlite3.connect(path, isolation_level=None)) as writer:
        found = []
        for at, row in enumerate(scripts.rows(reader, Query("traces"))):
            found.append(row["trace_id"])
            if at == 250:
                writer.execute("DELETE FROM traces WHERE request_time > 1000")
                assert writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0
    assert 1000 <= len(set(found)) == len(found) < 1500


def test_every_nasty_is_one_row(run: Run) -> None:
    """And comes out of the JSON as it went in."""

    async def seed(store: SQLiteStore) -> None:
        for nasty in NASTIES.values():
            said = json.dumps([{"role": "assistant", "content": nasty}], ensure_ascii=False)
            trace_id = await chat(
                store, user_id=nasty, session_id=nasty, request_preview=nasty, response=said, tags={nasty: nasty}
            )
            await rate(store, trace_id, nasty, name=nasty, value=nasty, rationale=nasty, metadata={"k": nasty})

    with owned() as (runner, store):
        runner.run(seed(store))
        outs = {(what, form): run("export", what, "--format", form)[1] for what in WHAT for form in ("csv", "jsonl")}
    for what, text_of in WHAT.items():
        rows = jsonl(outs[what, "jsonl"])
        assert len(outs[what, "jsonl"].splitlines()) == len(NASTIES)
        assert sorted(row[text_of] for row in rows) == sorted(NASTIES.values())
        cells = table(outs[what, "csv"])
        assert len(cells) == len(NASTIES)
        for row in cells:
            assert set(row) == set(rows[0])  # no cell too many, none too few
            for cell in row.values():
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))  # noqa: RUF001
                assert not any(c in cell for c in "\x1b\x9b\x00\x07\b")


WHAT = {"traces": "user_id", "assessments": "rationale"}
