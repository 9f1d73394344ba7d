"""Who answers: order, weights, retries, cooldown, the total timeout, cancellation."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.config.schema import Config, Model, Target
from gateway.errors import (
    NotFound,
    ProviderBusy,
    ProviderError,
    ProviderQuota,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from gateway.providers.router import Health, Router
from tests.support.clock import jumping, ticks
from tests.support.router import DONE, END, WHOLE, RouterHarness, chunk, request

BOTH = ("a/one", "b/two")


def broken(status: int | None = None, *, retry_after: float | None = None) -> ProviderError:
    error = ProviderError("Broken.", retry_after=retry_after)
    error.upstream_status = status
    return error


@pytest.fixture(autouse=True)
async def no_waiting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Timers run at once, and jitter is none."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    with jumping():
        yield


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_first_target_that_answers() -> None:
    """Each with its own name for the model; each attempt is noted and told."""
    harness = RouterHarness([broken(500)], b=[WHOLE])
    await harness.answer(targets=(Target(target="a/one"), "b/org/two"), connect_timeout_s=3)
    assert harness.output.text == "Hello"
    assert (harness.a.calls[0].model, harness.b.calls[0].model) == ("one", "org/two")
    assert harness.b.calls[0].connect_timeout_s == 3
    first, second = harness.attempts
    assert (first.error, first.status, first.message, first.end_ms is None) == (
        "upstream_error", 500, "Broken.", False,
    )  # fmt: skip
    assert (second.error, second.status) == (None, 200)
    assert harness.told == [("a/one", "upstream_error"), ("b/org/two", None)]


async def test_no_fallback_after_the_first_token() -> None:
    """It would corrupt the answer."""
    harness = RouterHarness([chunk("a"), broken()], b=[WHOLE])
    with pytest.raises(ProviderError, match="Broken"):
        await harness.answer(targets=BOTH, retries=2)
    assert (len(harness.attempts), harness.output.text) == (1, "a")


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (broken(), 2), (broken(500), 2), (broken(408), 2), (broken(401), 1),
        (ProviderBusy("Busy."), 2), (ProviderBusy("Busy.", retry_after=1), 2),
        (ProviderBusy("Busy.", retry_after=60), 1),
        (ProviderTimeout("Late."), 1), (ProviderRefused("Unknown model.", status=404), 1),
        (ProviderRefused("Pay first.", status=402), 1), (ProviderQuota("Used up."), 1),
        (ProviderUnavailable("Later.", retry_after=1), 2), (ProviderUnavailable("Later.", retry_after=60), 1),
    ],
)  # fmt: skip
async def test_what_may_pass_in_a_moment_is_tried_again(error: ProviderError, tries: int) -> None:
    """On the same target, once more here; all else goes on to the next."""
    harness = RouterHarness([error], [error], b=[WHOLE])
    await harness.answer(targets=BOTH, retries=1)
    assert len(harness.a.calls) == tries
    assert len(harness.b.calls) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_the_provider_refuses_is_the_callers(status: int) -> None:
    """No other target is asked, and this one is not to blame."""
    harness = RouterHarness([ProviderRefused("Odd.", status=status)], b=[WHOLE])
    with pytest.raises(ProviderRefused):
        await harness.answer(targets=BOTH, retries=3)
    assert (len(harness.attempts), harness.cooled) == (1, [])


async def test_the_last_error_is_the_answers() -> None:
    """Where none gave one."""
    harness = RouterHarness([broken(500)], b=[[ProviderBusy("Busy.", retry_after=9)]])
    with pytest.raises(ProviderBusy) as caught:
        await harness.answer(targets=BOTH)
    assert caught.value.retry_after == 9


async def test_pauses_double_and_retry_after_goes_before() -> None:
    """0.2, 0.4 and so on; what the provider asked for where it is short."""
    start = now()
    harness = RouterHarness([broken()], [broken()], WHOLE)
    await harness.answer(retries=2)
    assert 0.6 <= now() - start < 1
    start = now()
    harness = RouterHarness([ProviderBusy("Busy.", retry_after=2)], WHOLE)
    await harness.answer(retries=1)
    assert 2 <= now() - start < 2.4


async def test_a_failing_target_cools_down() -> None:
    """After three failures in a row it is asked last, and soon first again; an answer clears it."""
    harness = RouterHarness([broken(500)], [broken(500)], [broken(500)], [broken(500)], WHOLE, WHOLE, b=[WHOLE] * 4)
    for _ in range(3):
        await harness.answer(targets=BOTH)
    assert harness.cooled == ["a/one"]
    await harness.answer(targets=BOTH)
    assert [len(harness.a.calls), len(harness.b.calls)] == [3, 4]
    harness.b.scripts = [[broken(500)]]
    with pytest.raises(ProviderError):
        await harness.answer(targets=BOTH)  # both, since a bad chance beats none
    assert harness.cooled == ["a/one"] * 2
    await asyncio.sleep(3)
    await harness.answer(targets=BOTH)
    await harness.answer(targets=BOTH)
    assert len(harness.a.calls) == 6


async def test_retry_after_cools_at_once() -> None:
    """For as long as the provider asked, thirty seconds at most."""
    harness = RouterHarness([ProviderBusy("Busy.", retry_after=300)], WHOLE, b=[WHOLE, WHOLE])
    await harness.answer(targets=BOTH)
    await harness.answer(targets=BOTH)
    assert len(harness.b.calls) == 2
    await asyncio.sleep(31)
    await harness.answer(targets=BOTH)
    assert len(harness.a.calls) == 2


async def test_weights() -> None:
    """The first target is drawn by weight; the others stay as fallbacks."""
    harness = RouterHarness()
    model = Model(targets=(Target(target="a/x", weight=3), Target(target="b/y", weight=1)), strategy="weighted")
    firsts = Counter(tuple(harness.router._order(model)) for _ in range(2_000))
    assert set(firsts) == {("a/x", "b/y"), ("b/y", "a/x")}
    assert 1_350 < firsts["a/x", "b/y"] < 1_650


async def test_the_total_timeout() -> None:
    """Over all attempts and amid an answer."""
    harness = RouterHarness([chunk("a"), *[50, chunk("b")] * 9])
    with pytest.raises(ProviderTimeout, match="longer than this server allows"):
        await harness.answer(total_timeout_s=120)
    assert (harness.output.text, harness.a.ended) == ("abb", ["cancelled"])
    assert (harness.attempts[0].error, harness.attempts[0].end_ms is None) == ("upstream_timeout", False)
    waiting = RouterHarness(*[[ProviderBusy("Busy.", retry_after=2)]] * 9)
    with pytest.raises(ProviderTimeout):
        await waiting.answer(retries=8, total_timeout_s=5)
    assert [attempt.error for attempt in waiting.attempts] == ["upstream_rate_limited"] * 3


async def test_cancel() -> None:
    """The provider's call is cancelled, its attempt says so, and it is held against nobody."""
    harness = RouterHarness([chunk("a"), 50])
    task = asyncio.ensure_future(harness.answer())
    await ticks(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert harness.a.ended == ["cancelled"]
    assert (harness.attempts[0].error, harness.told, harness.cooled) == ("cancelled", [], [])


async def test_a_failure_is_logged_without_the_providers_words(caplog: pytest.LogCaptureFixture) -> None:
    """They may quote what was asked: the log has the target, the trace, the code and the status."""
    harness = RouterHarness([broken(401)])
    with caplog.at_level(logging.WARNING), pytest.raises(ProviderError):
        await harness.answer()
    assert f"a/one failed for {harness.output.trace_id}: upstream_error, HTTP 401" in caplog.text
    assert "Broken." not in caplog.text


@pytest.mark.parametrize("before", [(), (chunk("a"),)])
async def test_no_error_shows_the_providers_key_or_address(
    before: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Said in the stream, before a token or after one: it is in no error, attempt or log line."""
    frame = b'data: {"error":{"message":"VLLM-box refused s3cret"}}\n\n'
    harness = RouterHarness([*before, frame])
    with caplog.at_level(logging.DEBUG), pytest.raises(ProviderError) as caught:
        await harness.answer()
    assert caught.value.message == "… refused …"
    assert harness.attempts[0].message == "… refused …"
    assert "refused" not in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("error", [ProviderError("s3cret is out"), ProviderRefused("s3cret is out", status=400)])
async def test_no_error_of_embeddings_shows_them_either(error: ProviderError) -> None:
    """Whosever fault it is."""
    harness = RouterHarness()
    harness.a.embeddings = [error]
    with pytest.raises(ProviderError) as caught:
        await embed(harness, targets=("a/one",), retries=0)
    assert caught.value.message == "… is out"


@pytest.mark.parametrize(
    ("models", "asked", "name"),
    [
        (("default", "x"), None, "default"), (("x", "default"), None, "default"), (("x", "y"), None, "x"),
        ((), None, "demo/echo"), (("x",), "x", "x"), ((), "demo/lorem-3-0ms", "demo/lorem-3-0ms"),
    ],
)  # fmt: skip
def test_which_model(models: tuple[str, ...], asked: str | None, name: str) -> None:
    """The one asked for, else `default`, else the first declared; the demo's need no declaration."""
    config = Config(models={model: Model(targets=("a/b",)) for model in models})
    assert Router(config, {}, lambda *_: None, lambda _: None).model(asked)[0] == name


@pytest.mark.parametrize(("asked", "shown"), [("nobody", "'nobody'"), ("a\nb", r"'a\nb'"), ("x" * 200, "x" * 100)])
def test_an_unknown_model(asked: str, shown: str) -> None:
    """404, its name shown safely."""
    with pytest.raises(NotFound, match="There is no model") as caught:
        Router(Config(), {}, lambda *_: None, lambda _: None).model(asked)
    assert shown in caught.value.message
    assert caught.value.code == "model_not_found"
    assert len(caught.value.message) < 200


async def embed(harness: RouterHarness, **model: Any) -> bytes:
    return await harness.router.embed(Model(**{"targets": BOTH, **model}), request().fields)


async def test_embeddings_come_from_the_first_that_gives_them() -> None:
    """Failures are tried again and go on to the next, as a model that isn't there does; each attempt is told."""
    harness = RouterHarness()
    harness.a.embeddings = [broken(500), broken(500), ProviderRefused("No such model.", status=404), broken(), b"[1]"]
    harness.b.embeddings = [b"{}", b"[]"]
    assert [await embed(harness) for _ in range(3)] == [b"{}", b"[]", b"[1]"]
    assert (harness.a.targets, harness.b.targets) == (["one"] * 5, ["two"] * 2)
    assert [error for _, error in harness.told] == [
        "upstream_error", "upstream_error", None, "upstream_refused", None, "upstream_error", None,
    ]  # fmt: skip


async def test_embeddings_end_with_the_callers_fault_or_at_their_time() -> None:
    """Nobody else is asked then."""
    harness = RouterHarness()
    harness.a.embeddings = [ProviderRefused("Odd.", status=400), 700]
    with pytest.raises(ProviderRefused):
        await embed(harness)
    with pytest.raises(ProviderTimeout):
        await embed(harness)
    assert harness.b.targets == []


async def test_the_log_says_why_an_attempt_failed(caplog: pytest.LogCaptureFixture) -> None:
    """Status, cause and the provider's request ID; so does the attempt. A rate limit's words aren't there."""
    error = broken(500)
    error.cause, error.request_id = "connection reset", "req_1"
    harness = RouterHarness([error])
    with pytest.raises(ProviderError):
        await harness.answer()
    assert "upstream_error, HTTP 500, connection reset, req_1." in caplog.text
    [attempt] = harness.attempts
    assert (attempt.cause, attempt.request_id) == ("connection reset", "req_1")


async def test_usage_and_done_follow_the_end() -> None:
    """A reply that is done is read no further."""
    harness = RouterHarness([chunk("a"), END, DONE, broken()])
    await harness.answer()
    assert harness.a.ended == ["whole"]


def families(**models: tuple[str | Target, ...]) -> Router:
    named = {name.replace("_", "*"): Model(targets=targets) for name, targets in models.items()}
    return Router(Config(models=named), {}, lambda target, attempt: None, lambda target: None)


def test_a_family_takes_every_name_that_begins_so() -> None:
    """The target's star stands for the rest, slashes and all; a weight and a target without a star stay."""
    router = families(**{"up/_": ("up/*", Target(target="b/x-*", weight=3), "c/last")})
    name, model = router.model("up/org/llama3:8b")
    assert name == "up/org/llama3:8b"
    assert model.targets == ("up/org/llama3:8b", Target(target="b/x-org/llama3:8b", weight=3), "c/last")


def test_the_nearest_family_takes_a_name() -> None:
    """A name that is declared as it is goes first, then the longest beginning."""
    router = families(**{"_": ("a/*",), "up/_": ("b/*",), "up/big-_": ("c/*",), "up/big-one": ("d/one",)})
    found = {name: router.model(name)[1].targets[0] for name in ("x", "up/x", "up/big-x", "up/big-one")}
    assert found == {"x": "a/x", "up/x": "b/x", "up/big-x": "c/x", "up/big-one": "d/one"}


def test_a_family_is_no_name_of_a_model() -> None:
    """It can't be asked itself, isn't listed, and is no default; a chat that names no model is told so."""
    router = families(**{"up/_": ("up/*",)})
    assert (list(router.models), router.default) == ([], None)
    for name in ("up/", "down/x"):
        with pytest.raises(NotFound, match="There is no model"):
            router.model(name)
    with pytest.raises(NotFound, match="no default model"):
        router.model(None)
    assert families(**{"up/_": ("up/*",), "m": ("up/m",)}).default == "m"


def test_what_callers_name_does_not_pile_up() -> None:
    """Of the targets that failed, only so many are remembered: of a family there are as many as callers think of."""
    health = Health()
    for number in range(10_005):
        health.failed(f"up/{number}", broken(retry_after=60), 0.0)
    assert not health.cooling("up/4", 1.0)
    assert health.cooling("up/5", 1.0)
