"""The verdict of `gateway conformance`, as a function of what a client observed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.chaos import TEXT, Expect
from gateway.chaos.case import failed
from gateway.chaos.probe import Observed
from gateway.chaos.verdict import leaks, problems, summary

GOOD: dict[str, Any] = {"status": 200, "texts": {0: [TEXT]}, "finish": "stop", "done": 1}
HI: dict[str, Any] = {"status": 200, "texts": {0: ["Hi"]}}
TOOLS = Expect(
    finish="tool_calls", tool_calls=({"function": {"name": "f", "arguments": "{}"}},), others=("Second choice.",)
)


def verdict(expect: Expect, *, stream: bool = True, name: str = "ok", **observed: Any) -> str:
    return "; ".join(problems(Observed(**observed), expect, name=name, stream=stream))


@pytest.mark.parametrize(
    ("observed", "wrong"),
    [
        ({}, ""),
        ({"flood": True}, "the response has no end"),
        ({"status": 500}, "status 500, not 200"),
        ({"cut": "connection lost"}, "the answer is cut off"),
        ({"errors": 1}, "an error, though the whole answer was there"),
        ({"texts": {0: ["other"]}}, f"text: 5 characters, not {len(TEXT)}; differs at 0: 'other'"),
        ({"finish": "length"}, "finish_reason length, not stop"),
        ({"calls": {0: {"name": "f", "arguments": ""}}}, "tool calls [('f', '')]"),
        ({"after": 1}, "something follows [DONE]"),
    ],
)
def test_a_complete_answer(observed: dict[str, Any], wrong: str) -> None:
    """Every part of an answer that the provider gave completely must arrive."""
    assert verdict(Expect(), **(GOOD | observed)) == wrong


def test_the_other_choices_and_tool_calls() -> None:
    """They are compared too."""
    calls = {0: {"name": "f", "arguments": "{}"}}
    good = GOOD | {"texts": {0: [TEXT], 1: ["Second choice."]}, "finish": "tool_calls", "calls": calls}
    assert verdict(TOOLS, **good) == ""
    assert verdict(TOOLS, **(good | {"texts": {0: [TEXT]}})) == "the text of choice 1 is ''"


@pytest.mark.parametrize(
    ("expect", "name", "observed", "wrong"),
    [
        (failed(), "refuse", {"status": 0}, "the connection breaks without an answer"),
        (failed(), "refuse", {"status": 503}, ""),
        (failed(200, "Hi"), "reset-after-3", {"status": 502}, "status 502: the text that came before"),
        (failed(429, retry_after=3), "retry-after-3", {"status": 429}, "Retry-After None, not 3"),
        (failed(429, retry_after=3), "retry-after-3", {"status": 429, "headers": {"retry-after": "3"}}, ""),
        (failed(), "status-409", {"status": 409}, ""),
        (failed(), "status-401", {"status": 401}, "status 401, not 502 or its like"),
        (failed(200, "Hi"), "error-event", HI | {"errors": 1, "after": 1}, "something follows the error"),
        (failed(200, "Hi"), "missing-end", HI | {"finish": "stop"}, "a finish_reason though the answer failed"),
        (failed(502, None, "too_long"), "huge-line-20", GOOD, ""),
    ],
)  # fmt: skip
def test_a_failure(expect: Expect, name: str, observed: dict[str, Any], wrong: str) -> None:
    """A failure must be one that the client can recognise, with the status that fits."""
    found = verdict(expect, name=name, **observed)
    assert found.startswith(wrong)
    assert bool(found) is bool(wrong)


def test_a_plain_failure_must_not_look_good() -> None:
    """A plain answer with status 200 is taken for a good one."""
    assert verdict(failed(), stream=False, status=200) == "a failed answer looks like a good one"


def test_either_of_two_results() -> None:
    """If one of the expected results fits, the answer is good; if none does, the first one's problems are named."""
    expect = Expect(alt=failed())
    assert verdict(expect, status=502) == ""
    assert verdict(expect, status=418) == "status 418, not 200"


def test_leaks() -> None:
    """The keys and the provider's address may be neither in the body nor in the headers."""
    observed = Observed(status=200, body=b"sk-chaos-1 at 127.0.0.1:9", headers={"x": "sk-own"})
    assert len(leaks(observed, 9, ["sk-own"])) == 3
    assert leaks(observed, 10, []) == ["the key in the provider's message is shown"]


def test_the_summary() -> None:
    """It names the status, the text's length, the ending and the time."""
    observed = Observed(**GOOD, cut="connection lost", left=True, errors=1, seconds=0.25)
    assert summary(observed) == (
        f"200, {len(TEXT)} characters, finish stop, error event, [DONE], cut off (connection lost), left, 0.2 s"
    )
