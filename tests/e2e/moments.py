"""The moments at which a client may leave or stop an answer, as chaos models that hold them open."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gateway.chaos import TEXT
from tests.support.readers import Seen

STREAMS = ("native-stream", "v1-stream", "websocket")
PLAIN = ("native-plain", "v1-plain")


class Moment(NamedTuple):
    """`pattern` takes a number, so that each case has a model, and with it counters, of its own."""

    name: str
    wire: str
    pattern: str
    first: int
    reached: Callable[[Seen], bool] | None  # None: as soon as the provider has been asked

    @property
    def id(self) -> str:
        return f"{self.name}-{self.wire}"


def moments(*, long: bool) -> list[Moment]:
    """`long`: the provider doesn't come to its end by itself; else it does in less than a second."""
    before, first, middle, last = (
        ("role-pause-{}ms", 50_000, None),
        ("lorem-{}-40ms", 500, lambda seen: bool(seen.text)),
        ("lorem-{}-10ms", 2_000, lambda seen: len(seen.text) > 100),
        ("usage-late-{}ms", 50_000, lambda seen: seen.text == TEXT),
    ) if long else (
        ("role-pause-{}ms", 600, None),
        ("lorem-{}-20ms", 30, lambda seen: bool(seen.text)),
        ("lorem-{}-10ms", 60, lambda seen: len(seen.text) > 100),
        ("usage-late-{}ms", 300, lambda seen: seen.text == TEXT),
    )  # fmt: skip
    found = []
    for wire in STREAMS:
        found += [
            Moment("before-the-first-token", wire, *before),
            Moment("after-one-token", wire, *first),
            Moment("in-the-middle", wire, *middle),
            Moment("before-done", wire, *last),
        ]
    for wire in PLAIN:
        slow = ("lorem-{}-40ms", 800, None) if long else ("lorem-{}-10ms", 50, None)
        found.append(Moment("while-waiting", wire, *slow))
    return found


def named(cases: list[Moment]) -> dict[str, Moment]:
    """Each case under a model of its own."""
    return {case.pattern.format(case.first + i): case for i, case in enumerate(cases)}
