"""Judges a gateway's answer by what a client can observe of any gateway. It does no I/O. Called by conformance.py.

A failure may come as an HTTP status, as an error in the stream, or as a stream that ends without `[DONE]`: these are
honest. An incomplete answer that looks complete is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.chaos.case import Expect
from gateway.chaos.probe import Observed

_CHAOS_KEY = b"sk-chaos-"  # in the errors of status-CODE


def problems(observed: Observed, expect: Expect, *, name: str, stream: bool) -> list[str]:
    """Return what is wrong with the answer. An empty list means that it is good."""
    found = _problems(observed, expect, name, stream)
    if found and expect.alt is not None:
        found = problems(observed, expect.alt, name=name, stream=stream) and found
    return found


def leaks(observed: Observed, port: int, keys: Iterable[str]) -> list[str]:
    """Return which secrets of the gateway the client was shown."""
    told = observed.body + b"\n" + "\n".join(map(": ".join, observed.headers.items())).encode()
    found = ["the key in the provider's message is shown"] if _CHAOS_KEY in told else []
    if any(key.encode() in told for key in keys):
        found.append("the gateway's own key for the provider is shown")
    if re.search(rb"[\w\]]:%d\b" % port, told):
        found.append("the provider's address is shown")
    return found


def summary(observed: Observed) -> str:
    """Return the answer in a few words."""
    parts = [str(observed.status or "no answer")]
    if text := observed.text():
        parts.append(f"{len(text)} characters")
    parts += [f"finish {observed.finish}"] if observed.finish else []
    parts += ["error event"] * observed.errors + ["[DONE]"] * observed.done
    parts += [f"cut off ({observed.cut})"] if observed.cut else []
    parts += ["left"] if observed.left else []
    return ", ".join([*parts, f"{observed.seconds:.1f} s"])


def _problems(observed: Observed, expect: Expect, name: str, stream: bool) -> list[str]:
    if observed.late:
        return ["no end within the time allowed"]
    if observed.flood:
        return ["the response has no end"]
    if observed.unreadable:
        return [f"not JSON: {observed.unreadable}"]
    if expect.outcome == "complete":
        return _incomplete(observed, expect, stream)
    if expect.outcome == "too_long" and not _incomplete(observed, Expect(text=None), stream):
        return []  # each gateway has a limit of its own
    if observed.status != 200:
        return _refusal(observed, expect, name, stream)
    found = (
        [] if expect.text is None or (observed.text() == expect.text or not stream) else [_text(observed, expect.text)]
    )
    if not stream and not (observed.cut or observed.errors):
        found.append("a failed answer looks like a good one")
    if stream and observed.done:
        found.append("[DONE] though the answer failed")
    if stream and observed.finish and not (observed.errors or observed.cut):
        found.append("a finish_reason though the answer failed")
    if observed.errors > 1 or observed.after:
        found.append("something follows the error")
    return found


def _incomplete(observed: Observed, expect: Expect, stream: bool) -> list[str]:
    if observed.status != 200:
        return [f"status {observed.status or 'none'}, not 200"]
    found = []
    if observed.cut:
        found.append("the answer is cut off")
    if observed.errors:
        found.append("an error, though the whole answer was there")
    if expect.text is not None and observed.text() != expect.text:
        found.append(_text(observed, expect.text))
    for index, text in enumerate(expect.others, 1):
        if observed.text(index) != text:
            found.append(f"the text of choice {index} is {observed.text(index)[:40]!r}")
    calls = [(call["name"], call["arguments"]) for _, call in sorted(observed.calls.items())]
    wanted = [(call["function"]["name"], call["function"]["arguments"]) for call in expect.tool_calls]
    if calls != wanted:
        found.append(f"tool calls {calls}")
    if expect.finish and observed.finish != expect.finish:
        found.append(f"finish_reason {observed.finish}, not {expect.finish}")
    if stream and observed.done != 1:
        found.append(f"[DONE] {observed.done} times" if observed.done else "no [DONE]")
    if observed.done and observed.after:
        found.append("something follows [DONE]")
    return found


def _refusal(observed: Observed, expect: Expect, name: str, stream: bool) -> list[str]:
    if observed.status == 0:
        return ["the connection breaks without an answer"]
    if stream and expect.status == 200 and expect.text:
        return [f"status {observed.status}: the text that came before the failure is lost"]
    want = 502 if expect.status == 200 else expect.status
    own = re.fullmatch(r"status-(?:html-)?(\d{3})", name)
    # A provider's 401 or 403 is about the gateway's key, not the client's; its other statuses may be passed on.
    passed_on = own is not None and observed.status == int(own[1]) and observed.status not in (401, 403)
    if not passed_on and (observed.status // 100 != want // 100 or (want == 429) != (observed.status == 429)):
        return [f"status {observed.status}, not {want} or its like"]
    if expect.retry_after is not None and observed.headers.get("retry-after") != str(expect.retry_after):
        return [f"Retry-After {observed.headers.get('retry-after')}, not {expect.retry_after}"]
    return []


def _text(observed: Observed, wanted: str) -> str:
    text = observed.text()
    same = next((i for i, pair in enumerate(zip(text, wanted, strict=False)) if pair[0] != pair[1]), None)
    at = min(len(text), len(wanted)) if same is None else same
    return f"text: {len(text)} characters, not {len(wanted)}; differs at {at}: {text[at : at + 20]!r}"
