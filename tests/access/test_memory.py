"""How much memory callers may make the process take: counted, bounded, and given back."""

from __future__ import annotations

import msgspec
import pytest

from gateway.access.memory import Memory
from gateway.config.current import Current
from gateway.config.schema import Config, Limits
from gateway.domain.messages import LARGE, ChatRequest
from gateway.errors import Unavailable


def memory(**limits: int) -> Memory:
    return Memory(Current(Config(limits=Limits(**limits))))


def question(size: int) -> ChatRequest:
    return ChatRequest(route="/chat", model=None, fields={"messages": msgspec.Raw(b"[]")}, preview="", size=size)


def room(of: Memory) -> int:
    """The largest number of bytes that it still takes beside a byte."""
    of.take(1)
    for size in (10**9, 10**6, 10**5, 1):
        try:
            of.take(size)
        except Unavailable:
            continue
        of.give_back(size + 1)
        return size
    of.give_back(1)
    return 0


def test_a_small_question_costs_nothing() -> None:
    """It is the same request, and isn't counted."""
    small = question(LARGE)
    assert memory(max_bodies_bytes=1).keep(small) is small


def test_a_large_question_counts_until_it_is_let_go() -> None:
    """Three times its size, since it is there in three forms; letting go twice gives back once."""
    bound = memory(max_bodies_bytes=10**6 + 300_000)
    kept = bound.keep(question(100_000))
    assert kept.fields == {"messages": msgspec.Raw(b"[]")}
    assert room(bound) == 10**5
    for _ in range(2):
        kept.fields.clear()
        assert not kept.fields
        assert room(bound) == 10**6


def test_beyond_the_bound_nothing_is_counted() -> None:
    """But alone each is let in, however large: the bound may be less than one may send."""
    bound = memory(max_bodies_bytes=1000)
    alone = bound.keep(question(10**6))
    with pytest.raises(Unavailable):
        bound.take(1)
    alone.fields.clear()
    bound.take(1000)
    with pytest.raises(Unavailable):
        bound.keep(question(10**6))
    bound.give_back(1000)
    bound.take(10**6)


def test_without_a_bound_all_is_taken() -> None:
    """0 is none."""
    unbounded = memory(max_bodies_bytes=0)
    unbounded.take(10**12)
    unbounded.take(10**12)
