"""Which target answers, and how a failing one is told to the caller: order, weights, retries, cooldown, statuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from gateway.chaos import expected_text
from tests.support.chaos import ChaosGateway, chaos_gateway, model
from tests.support.readers import WIRES, chat_stream, clients, v1_plain, v1_stream

# What fails before its first token, and the error that its span then shows.
BEFORE = {
    "refuse": "upstream_error",
    "reset-after-0": "upstream_error",
    "stall-head": "upstream_timeout",
    "stall-before": "upstream_timeout",
    "comments-forever": "upstream_timeout",
    "garbage-first": "upstream_error",
    "error-after-0": "upstream_error",
    "empty": "upstream_error",
    "html": "upstream_error",
    "status-401": "upstream_error",
    "status-404": "upstream_refused",
    "status-429": "upstream_rate_limited",
    "status-500": "upstream_error",
    "retry-after-30": "upstream_rate_limited",
}
AFTER = ("reset-after-3", "close-after-3", "stall-after-3", "error-after-3", "garbage-json", "die-in-utf8")
REFUSED = ("status-400", "status-422")
SHORT = {"first_token_timeout_s": 0.4, "idle_timeout_s": 0.4}


def _backup(name: str) -> str:
    """A good model of its own for each case, so that its counter says whether it was asked."""
    return f"lorem-{100 + [*BEFORE, *AFTER, *REFUSED].index(name)}-0ms"


def _models() -> dict[str, Any]:
    pairs = {name: model(f"chaos/{name}", f"chaos/{_backup(name)}", **SHORT) for name in (*BEFORE, *AFTER, *REFUSED)}
    weights = [{"target": "chaos/lorem-3-0ms", "weight": 9}, {"target": "chaos/lorem-4-0ms", "weight": 1}]
    return pairs | {
        "unreachable": model("nobody/x", "chaos/lorem-9-0ms"),
        "nothing-left": model("nobody/x", "chaos/status-503", "chaos/status-502"),
        "two-fail": model("chaos/status-500", "chaos/refuse", "chaos/lorem-10-0ms"),
        "weighted": model(*weights, strategy="weighted"),
        "weighted-bad": model({"target": "nobody/y", "weight": 1000}, "chaos/lorem-5-0ms", strategy="weighted"),
        "patient": model("chaos/retry-after-1", retries=1),
        "impatient": model("chaos/retry-after-31", retries=3),
        "flaky": model("chaos/flaky-2", retries=2),
        "no-retry": model("chaos/status-403", retries=2),
        "cooling-busy": model("closing/retry-after-29", "chaos/lorem-6-0ms"),
        "cooling-down": model("closing/status-503", "chaos/lorem-7-0ms"),
        "too-slow": model("chaos/lorem-1000-20ms", total_timeout_s=0.5),
    }


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosGateway]:
    with chaos_gateway(tmp_path_factory.mktemp("fallback"), _models()) as started:
        yield started


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with clients() as made:
        yield made


def attempts(here: ChaosGateway, trace_id: str) -> list[tuple[str, str | None]]:
    """Each call's target and error, in order."""
    spans = [span for span in here.gateway.store.spans(trace_id) if span["parent_id"] is not None]
    return [(span["name"].removeprefix("chat "), span["attributes"].get("error.type")) for span in spans]


@pytest.mark.parametrize("wire", ["native-stream", "v1-stream"])
@pytest.mark.parametrize("name", BEFORE)
async def test_fallback_before_the_first_token(
    here: ChaosGateway, session: aiohttp.ClientSession, name: str, wire: str
) -> None:
    """The next target answers, its text comes once, and each call is a span with its own error."""
    backup = _backup(name)
    seen = await WIRES[wire](session, here.url, name)
    assert (seen.text, seen.finish, len(seen.terminals)) == (expected_text(backup), "stop", 1)
    row = await here.ended(seen.trace_id)
    assert (row["outcome"], row["provider"], row["answered_model"]) == ("complete", "chaos", backup)
    made = attempts(here, seen.trace_id)
    assert made[-1] == (f"chaos/{backup}", None)
    assert made[:-1] in ([(f"chaos/{name}", BEFORE[name])], [])  # none, where the target cools down


@pytest.mark.parametrize("wire", ["native-stream", "v1-stream"])
@pytest.mark.parametrize("name", AFTER)
async def test_no_fallback_after_the_first_token(
    here: ChaosGateway, session: aiohttp.ClientSession, name: str, wire: str
) -> None:
    """What was said stays the answer's beginning, the error follows in the stream, and nobody else is asked."""
    seen = await WIRES[wire](session, here.url, name)
    assert (seen.status, seen.text, len(seen.terminals)) == (200, expected_text(name), 1)
    assert seen.error in ("upstream_error", "upstream_timeout")
    assert here.upstream.asked(_backup(name)) == 0


@pytest.mark.parametrize("name", REFUSED)
async def test_a_bad_request_is_bad_everywhere(here: ChaosGateway, session: aiohttp.ClientSession, name: str) -> None:
    """What a provider refuses as wrong is not taken to another one, and its status and code pass on."""
    seen = await v1_plain(session, here.url, name)
    assert (seen.status, seen.error) == (int(name[-3:]), "chaos_error")
    assert here.upstream.asked(_backup(name)) == 0


async def test_fallback_from_a_closed_port(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """Nobody listens there, so the next one is asked."""
    seen = await chat_stream(session, here.url, "unreachable")
    assert seen.text == expected_text("lorem-9-0ms")
    assert attempts(here, seen.trace_id) == [("nobody/x", "upstream_error"), ("chaos/lorem-9-0ms", None)]


async def test_the_third_of_three(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """The order is the configured one."""
    seen = await chat_stream(session, here.url, "two-fail")
    assert [target for target, _ in attempts(here, seen.trace_id)] == [
        "chaos/status-500",
        "chaos/refuse",
        "chaos/lorem-10-0ms",
    ]


async def test_when_nobody_answers(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """One error: on the native stream in-band, on /v1 as a status; the trace has a span for every call."""
    native = await chat_stream(session, here.url, "nothing-left")
    assert (native.status, native.error, len(native.terminals)) == (200, "upstream_error", 1)
    assert len(attempts(here, native.trace_id)) == 3
    openai = await v1_stream(session, here.url, "nothing-left")
    assert (openai.status, openai.error) == (502, "upstream_error")


async def test_weights(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """Nine to one is about nine to one."""
    await asyncio.gather(*(v1_plain(session, here.url, "weighted") for _ in range(200)))
    assert here.upstream.asked("lorem-3-0ms") + here.upstream.asked("lorem-4-0ms") == 200
    assert 150 < here.upstream.asked("lorem-3-0ms") < 199


async def test_a_weighted_choice_that_fails(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """The others still stand in for it."""
    seen = await chat_stream(session, here.url, "weighted-bad")
    assert seen.text == expected_text("lorem-5-0ms")


async def test_a_retry_waits_as_long_as_it_was_told(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """A short Retry-After is waited for once, and then passed on."""
    seen = await v1_plain(session, here.url, "patient")
    assert (seen.status, seen.headers["retry-after"]) == (429, "1")
    _, first, second = here.gateway.store.spans(seen.trace_id)
    assert second["start_ms"] - first["end_ms"] >= 990


async def test_a_long_retry_after_is_the_callers(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """The gateway doesn't hold the caller for half a minute, whatever its retries."""
    seen = await v1_plain(session, here.url, "impatient")
    assert (seen.status, seen.headers["retry-after"]) == (429, "31")
    assert here.upstream.asked("retry-after-31") == 1


async def test_retries(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """A target that fails twice and then answers is asked three times."""
    seen = await chat_stream(session, here.url, "flaky")
    assert [error for _, error in attempts(here, seen.trace_id)] == ["upstream_error", "upstream_error", None]


async def test_refused_credentials_are_not_tried_again(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """They will not become better; and it is the gateway's fault, not the caller's."""
    seen = await v1_plain(session, here.url, "no-retry")
    assert (seen.status, here.upstream.asked("status-403")) == (502, 1)


async def test_a_busy_target_is_left_alone(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """For as long as its Retry-After says, the next request goes to the other one at once."""
    for _ in range(3):
        seen = await chat_stream(session, here.url, "cooling-busy")
        assert seen.text == expected_text("lorem-6-0ms")
    assert here.upstream.asked("retry-after-29") == 1


async def test_a_failing_target_cools_down(here: ChaosGateway, session: aiohttp.ClientSession) -> None:
    """After a few failures in a row it is not asked for a while."""
    before = here.upstream.asked("status-503")
    seen = [await chat_stream(session, here.url, "cooling-down") for _ in range(6)]
    assert {answer.text for answer in seen} == {expected_text("lorem-7-0ms")}
    assert here.upstream.asked("status-503") - before < 6
    assert attempts(here, seen[-1].trace_id) == [("chaos/lorem-7-0ms", None)]


@pytest.mark.parametrize("wire", WIRES)
async def test_an_answer_that_takes_too_long(here: ChaosGateway, session: aiohttp.ClientSession, wire: str) -> None:
    """The total timeout ends it, in-band on streams, and the span says what happened."""
    seen = await WIRES[wire](session, here.url, "too-slow")
    assert (seen.status, seen.error) == (504 if wire.endswith("plain") else 200, "upstream_timeout")
    assert (await here.ended(seen.trace_id))["outcome"] == "timeout"
    assert attempts(here, seen.trace_id) == [("chaos/lorem-1000-20ms", "upstream_timeout")]
