"""Every chaos model over every wire, through a real gateway: what the reader sees, what is stored, what stays behind.

The cases run once, in one go, when the first test asks for them; each test looks at its own part of what came out.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from gateway.chaos import CASES, Expect
from tests.support.chaos import ChaosGateway, Levels, chaos_gateway, model
from tests.support.readers import WIRES, Seen, clients, rate

ALONE = ("flaky-1", "stale", "close-idle")  # what one request does to them the next one feels
CODES = {"upstream_error": "upstream_", "timeout": "upstream_timeout", "too_long": "answer_too_long"}
PAIRS = [pytest.param(name, wire, id=f"{name}-{wire}") for name in CASES for wire in WIRES]


class Played(NamedTuple):
    here: ChaosGateway
    seen: dict[tuple[str, str], Seen]
    rated: dict[str, int]  # trace: the status of its rating
    before: Levels
    after: dict[str, Levels]
    rows: dict[str, dict[str, Any]]
    spans: dict[str, list[dict[str, Any]]]
    ratings: Counter[str]
    logged: Counter[str]


def expected(name: str, wire: str) -> Expect:
    """Of the native plain chat, too, the gateway asks its provider for a stream."""
    case = CASES[name]
    return (case.plain if wire == "v1-plain" else case.stream).expect


def _model(name: str) -> dict[str, Any]:
    if name in ALONE:
        return model(f"closing/{name}", retries=1)
    if "timeout" in (CASES[name].stream.expect.outcome, CASES[name].plain.expect.outcome):
        return model(f"chaos/{name}", first_token_timeout_s=0.4, idle_timeout_s=0.4, total_timeout_s=1)
    return model(f"chaos/{name}")


async def _play(here: ChaosGateway) -> Played:
    seen: dict[tuple[str, str], Seen] = {}
    rated: dict[str, int] = {}
    after: dict[str, Levels] = {}
    async with clients() as session:

        async def one(name: str, wire: str) -> None:
            got = seen[name, wire] = await WIRES[wire](session, here.url, name)
            rated[got.trace_id] = await rate(session, here.url, got.trace_id)

        await asyncio.gather(*(one("ok", wire) for wire in WIRES))
        before = here.levels()
        for name in CASES:
            if name in ALONE:
                for wire in WIRES:
                    await one(name, wire)
            else:
                await asyncio.gather(*(one(name, wire) for wire in WIRES))
            after[name] = await here.settled(before, timeout=4)
    store = here.gateway.store
    spans: dict[str, list[dict[str, Any]]] = {}
    for span in store.rows("SELECT * FROM spans ORDER BY parent_id IS NOT NULL, start_ms, end_ms"):
        spans.setdefault(span["trace_id"], []).append(span)
    return Played(
        here,
        seen,
        rated,
        before,
        after,
        {row["trace_id"]: row for row in store.traces()},
        spans,
        Counter(row["trace_id"] for row in store.rows("SELECT trace_id FROM assessments WHERE valid")),
        Counter(line["trace_id"] for line in here.gateway.log_lines() if line.get("event") == "chat"),
    )


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All of it, over and done with."""
    models = {name: _model(name) for name in CASES}
    with chaos_gateway(tmp_path_factory.mktemp("chaos"), models, streaming={"max_answer_bytes": 4_194_304}) as here:
        yield asyncio.run(_play(here))


def _reader_problems(seen: Seen, expect: Expect, wire: str) -> list[str]:
    """In what the reader's answer is not the one expected."""
    status = expect.status
    if wire in ("native-stream", "websocket"):
        status = 200  # the head is out before the provider is asked
    elif wire.endswith("plain") and expect.outcome != "complete" and status == 200:
        status = 504 if expect.outcome == "timeout" else 502
    complete = expect.outcome == "complete"
    wanted: dict[str, Any] = {"status": status}
    if complete or status == 200:
        wanted |= {"text": expect.text} if expect.text is not None else {}
        wanted |= {"reasoning": expect.reasoning} if wire != "native-plain" else {}
        wanted |= {"others": expect.others} if wire.startswith("v1") else {}
    if complete:
        wanted |= {"finish": expect.finish} if expect.finish else {}
    problems = [f"{key}: {getattr(seen, key)!r}, not {value!r}" for key, value in wanted.items()
                if getattr(seen, key) != value]  # fmt: skip
    if complete and expect.usage != bool(seen.usage) and (expect.usage or wire.startswith("v1")):
        problems.append(f"usage: {seen.usage}")
    code: str | tuple[str, ...] = CODES.get(expect.outcome, "")
    if wire.startswith("v1") and expect.status == 429:
        code = ("upstream_rate_limited", "insufficient_quota")
    if wire.startswith("v1") and expect.status in (400, 402, 404, 413, 422):
        code = "chaos_error"  # the provider's own
    if (seen.error is None) != complete or not str(seen.error or "").startswith(code):
        problems.append(f"code: {seen.error}")
    if expect.retry_after is not None and status != 200 and seen.headers["retry-after"] != str(expect.retry_after):
        problems.append(f"Retry-After: {seen.headers['retry-after']}")
    return problems


def _stored_problems(row: dict[str, Any], expect: Expect) -> list[str]:
    """In what the stored trace is not the one expected."""
    message, *others = row["response"]
    complete = expect.outcome == "complete"
    wanted: dict[str, tuple[Any, Any]] = {
        "outcome": (row["outcome"], expect.outcome),
        "state": (row["state"], "OK" if complete else "ERROR"),
        "reasoning": (message.get("reasoning_content", ""), expect.reasoning),
        "others": (tuple(other["content"] for other in others), expect.others),
        "tool calls": (tuple(message.get("tool_calls", ())), expect.tool_calls),
        "error": (row["error_message"] is None, complete),
    }
    if expect.text is not None:
        wanted["text"] = (message["content"] or "", expect.text)
    if not complete:
        wanted["finish"] = (row["finish_reason"], None)
    elif expect.finish:
        wanted["finish"] = (row["finish_reason"], expect.finish)
    if complete and (message["content"] or expect.tool_calls):
        wanted["estimated"] = (bool(row["usage_estimated"]), not expect.usage)
        wanted["tokens"] = (row["completion_tokens"] is not None, True)
    return [f"{key}: {found!r}, not {value!r}" for key, (found, value) in wanted.items() if found != value]


def _agreed(problems: Any, expect: Expect) -> None:
    found = problems(expect)
    if found and expect.alt is not None:
        found = problems(expect.alt) and found
    assert not found


@pytest.mark.parametrize(("name", "wire"), PAIRS)
def test_the_reader_gets_what_the_table_says(played: Played, name: str, wire: str) -> None:
    """The text that had come, and then the one end that the case calls for."""
    seen = played.seen[name, wire]
    _agreed(lambda expect: _reader_problems(seen, expect, wire), expected(name, wire))
    assert (len(seen.terminals), seen.after_terminal) == (1, 0)
    assert seen.ids == sorted(set(seen.ids))
    assert wire == "websocket" or seen.headers["x-trace-id"] == seen.trace_id


@pytest.mark.parametrize(("name", "wire"), PAIRS)
def test_one_terminal_state_is_stored(played: Played, name: str, wire: str) -> None:
    """Outcome, state, text, finish reason and usage are the case's, and the text is what the reader got."""
    seen = played.seen[name, wire]
    row = played.rows[seen.trace_id]
    _agreed(lambda expect: _stored_problems(row, expect), expected(name, wire))
    if seen.status == 200:
        assert (row["response"][0]["content"] or "") == seen.text
    assert played.logged[seen.trace_id] == 1


@pytest.mark.parametrize(("name", "wire"), PAIRS)
def test_each_attempt_is_a_span(played: Played, name: str, wire: str) -> None:
    """A root span, and one below it per call to the provider: target, times, status and error."""
    row = played.rows[played.seen[name, wire].trace_id]
    root, *attempts = sorted(played.spans[row["trace_id"]], key=lambda span: span["parent_id"] is not None)
    good = row["state"] == "OK"
    assert (root["parent_id"], root["span_id"]) == (None, row["root_span_id"])
    assert root["status"] == row["state"]
    assert root["attributes"]["gateway.outcome"] == row["outcome"]
    assert attempts
    assert all(span["parent_id"] == root["span_id"] for span in attempts)
    assert [span["status"] for span in attempts] == ["ERROR"] * (len(attempts) - 1) + ["OK" if good else "ERROR"]
    assert attempts[-1]["attributes"].get("error.type") == row["error_code"]
    for span in attempts:
        assert root["start_ms"] <= span["start_ms"] <= span["end_ms"] <= root["end_ms"]
        assert f"/{name}" in span["name"] or span["status"] == "OK"
    if name.startswith("status-"):
        assert attempts[0]["attributes"]["http.response.status_code"] == int(name.split("-")[-1])
    assert len(attempts) == 1 or name in ALONE


@pytest.mark.parametrize("name", CASES)
def test_it_can_be_rated(played: Played, name: str) -> None:
    """Whatever became of the answers, a rating of each is taken and kept."""
    traces = [played.seen[name, wire].trace_id for wire in WIRES]
    assert [(played.rated[trace], played.ratings[trace]) for trace in traces] == [(200, 1)] * len(WIRES)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_left_behind(played: Played, name: str) -> None:
    """Tasks, running streams, readers and connections are back where they were, and no reply is under way."""
    assert all(now <= then for now, then in zip(played.after[name], played.before, strict=True)), (
        played.before,
        played.after[name],
    )


@pytest.mark.parametrize("name", CASES)
def test_no_secret_and_no_address_is_shown(played: Played, name: str) -> None:
    """Neither the readers nor the stored traces are told a key or where the provider is."""
    all_seen = [played.seen[name, wire] for wire in WIRES]
    shown = [text for seen in all_seen for text in (seen.raw.decode(), str(seen.headers))]
    shown += [json.dumps([played.rows[seen.trace_id], played.spans[seen.trace_id]]) for seen in all_seen]
    for text in shown:
        assert "SECRET" not in text
        assert f":{played.here.upstream.port}" not in text
        assert "127.0.0.1" not in text


def test_no_secret_is_logged(played: Played) -> None:
    """The gateway's own output tells no key."""
    gateway = played.here.gateway
    assert b"SECRET" not in gateway.stdout_path.read_bytes() + gateway.stderr_path.read_bytes()
