"""What is wrong with a gateway's answer, by what can be seen from outside of any gateway. No I/O.

A failure may come as an HTTP status, as an error in the stream, or as a stream that ends without `[DONE]`: all are
honest. An answer that looks whole and isn't, is not. Called by conformance.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.chaos.case import Expect
from gateway.chaos.probe import Seen

_CHAOS_KEY = b"sk-chaos-"  # in the errors of status-CODE


def problems(seen: Seen, expect: Expect, *, name: str, stream: bool) -> list[str]:
    """What the answer should not be. Empty: good."""
    found = _problems(seen, expect, name, stream)
    if found and expect.alt is not None:
        found = problems(seen, expect.alt, name=name, stream=stream) and found
    return found


def leaks(seen: Seen, port: int, keys: Iterable[str]) -> list[str]:
    """What the client was told that is none of its business."""
    told = seen.body + b"\n" + "\n".join(map(": ".join, seen.headers.items())).encode()
    found = ["the key in the provider's message is shown"] if _CHAOS_KEY in told else []
    if any(key.encode() in told for key in keys):
        found.append("the gateway's own key for the provider is shown")
    if re.search(rb"[\w\]]:%d\b" % port, told):
        found.append("the provider's address is shown")
    return found


def shown(seen: Seen) -> str:
    """The answer in a few words."""
    parts = [str(seen.status or "no answer")]
    if text := seen.text():
        parts.append(f"{len(text)} characters")
    parts += [f"finish {seen.finish}"] if seen.finish else []
    parts += ["error event"] * seen.errors + ["[DONE]"] * seen.done
    parts += [f"cut off ({seen.cut})"] if seen.cut else []
    parts += ["left"] if seen.left else []
    return ", ".join([*parts, f"{seen.seconds:.1f} s"])


def _problems(seen: Seen, expect: Expect, name: str, stream: bool) -> list[str]:
    if seen.late:
        return ["no end within the time allowed"]
    if seen.flood:
        return ["no end to what it sends"]
    if seen.unreadable:
        return [f"not JSON: {seen.unreadable}"]
    if expect.outcome == "complete":
        return _incomplete(seen, expect, stream)
    if expect.outcome == "too_long" and not _incomplete(seen, Expect(text=None), stream):
        return []  # what is too long is the gateway's own business
    if seen.status != 200:
        return _refusal(seen, expect, name, stream)
    found = [] if expect.text is None or (seen.text() == expect.text or not stream) else [_text(seen, expect.text)]
    if not stream and not (seen.cut or seen.errors):
        found.append("a failed answer looks like a good one")
    if stream and seen.done:
        found.append("[DONE] though the answer failed")
    if stream and seen.finish and not (seen.errors or seen.cut):
        found.append("a finish_reason though the answer failed")
    if seen.errors > 1 or seen.after:
        found.append("something follows the error")
    return found


def _incomplete(seen: Seen, expect: Expect, stream: bool) -> list[str]:
    if seen.status != 200:
        return [f"status {seen.status or 'none'}, not 200"]
    found = []
    if seen.cut:
        found.append("the answer is cut off")
    if seen.errors:
        found.append("an error, though all of it could be had")
    if expect.text is not None and seen.text() != expect.text:
        found.append(_text(seen, expect.text))
    for index, text in enumerate(expect.others, 1):
        if seen.text(index) != text:
            found.append(f"the text of choice {index} is {seen.text(index)[:40]!r}")
    calls = [(call["name"], call["arguments"]) for _, call in sorted(seen.calls.items())]
    wanted = [(call["function"]["name"], call["function"]["arguments"]) for call in expect.tool_calls]
    if calls != wanted:
        found.append(f"tool calls {calls}")
    if expect.finish and seen.finish != expect.finish:
        found.append(f"finish_reason {seen.finish}, not {expect.finish}")
    if stream and seen.done != 1:
        found.append(f"[DONE] {seen.done} times" if seen.done else "no [DONE]")
    if seen.done and seen.after:
        found.append("something follows [DONE]")
    return found


def _refusal(seen: Seen, expect: Expect, name: str, stream: bool) -> list[str]:
    if seen.status == 0:
        return ["the connection breaks without an answer"]
    if stream and expect.status == 200 and expect.text:
        return [f"status {seen.status}: the text that had come is lost"]
    want = 502 if expect.status == 200 else expect.status
    own = re.fullmatch(r"status-(?:html-)?(\d{3})", name)
    # A provider's 401 or 403 is about the gateway's key, not the client's; its other statuses may be passed on.
    passed_on = own is not None and seen.status == int(own[1]) and seen.status not in (401, 403)
    if not passed_on and (seen.status // 100 != want // 100 or (want == 429) != (seen.status == 429)):
        return [f"status {seen.status}, not {want} or its like"]
    if expect.retry_after is not None and seen.headers.get("retry-after") != str(expect.retry_after):
        return [f"Retry-After {seen.headers.get('retry-after')}, not {expect.retry_after}"]
    return []


def _text(seen: Seen, wanted: str) -> str:
    text = seen.text()
    same = next((i for i, pair in enumerate(zip(text, wanted, strict=False)) if pair[0] != pair[1]), None)
    at = min(len(text), len(wanted)) if same is None else same
    return f"text: {len(text)} characters, not {len(wanted)}; differs at {at}: {text[at : at + 20]!r}"
