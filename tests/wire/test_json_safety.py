"""How deep JSON and how large its numbers may be: what is taken can be read again wherever it is shown."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidValue
from gateway.wire.chat_body import decode_fields
from gateway.wire.json_safety import MAX_DEPTH, MAX_VALUES, body_problem, json_problem


def nested(levels: int, inner: str = "1") -> bytes:
    return ("[" * (levels // 2) + '{"a":' * (levels - levels // 2) + inner + "}" * (levels - levels // 2)).encode() + (
        b"]" * (levels // 2)
    )


def depth(value: Any) -> int:
    """The obvious way."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def test_the_limit_itself_is_taken() -> None:
    """And not a level more."""
    assert not json_problem(nested(MAX_DEPTH))
    assert json_problem(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("text", ['"' + "[" * 500 + '"', json.dumps('"' + "[{" * 500 + "\\"), "[" + "[]," * 900 + "0]"])
def test_what_only_looks_deep(text: str) -> None:
    """Brackets within strings, with quotes and backslashes among them; and many beside each other."""
    assert not json_problem(b"[" + text.encode() + b"]")


@given(
    st.recursive(
        st.text('[]{}"\\a') | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text('[{"'), inner)
    ),
    st.integers(MAX_DEPTH - 12, MAX_DEPTH),
)
def test_any_value_is_counted_as_the_obvious_way_does(value: Any, around: int) -> None:
    """Around the limit."""
    wide = "[" + "[]," * MAX_DEPTH + json.dumps(value) + "]"
    assert bool(json_problem(nested(around, wide))) == (around + max(depth(value), 1) + 1 > MAX_DEPTH)


def test_a_chat_that_is_too_deep_is_refused() -> None:
    """With the reason."""
    with pytest.raises(InvalidValue, match="deeper than 200 levels"):
        decode_fields(b'{"messages":' + nested(MAX_DEPTH) + b"}")


@pytest.mark.parametrize("number", ["1e999", "-1.5E+400", "1" + "0" * 5000])
def test_a_number_that_nothing_holds_is_refused(number: str) -> None:
    """A decoder that skips the field would let it in, and the next reader fail."""
    with pytest.raises(InvalidValue, match="number that is too large"):
        decode_fields(b'{"messages": [{"role": "user", "content": [{"n": %s}]}]}' % number.encode())


@pytest.mark.parametrize("taken", ['"1e999"', '"%s"' % ("7" * 400), "1e308", "1e-999", "1e-500", "1" + "0" * 300])
def test_a_number_that_is_large_enough_is_taken(taken: str) -> None:
    """Strings are as they like, and what is too small is nought."""
    assert json_problem(b"[" + taken.encode() + b"]") is None


@settings(max_examples=500)
@given(
    digits=st.integers(1, 400),
    fraction=st.sampled_from(["", ".0", "." + "9" * 30]),
    exponent=st.none() | st.integers(-400, 400),
    form=st.sampled_from(["e{}", "E{}", "e{:+}", "E{:+}", "e{:+06}"]),
)
def test_just_the_numbers_beyond_every_float_are_refused(
    digits: int, fraction: str, exponent: int | None, form: str
) -> None:
    """However they are written. A whole number is none: there are larger ones."""
    number = "9" * digits + fraction + ("" if exponent is None else form.format(exponent))
    assert bool(json_problem(b"[%s]" % number.encode())) == (json.loads(number) == math.inf)


def test_what_is_no_json_is_for_others_to_say() -> None:
    """It is decoded only where a number might be too large."""
    assert json_problem(b"[nothing, 1e999]") is None


def test_a_body_has_a_bounded_number_of_values() -> None:
    """They are counted outside of texts, however many commas and brackets a text has."""
    assert body_problem(b"[" + b"1," * (MAX_VALUES - 2) + b"1]" + b" " * MAX_VALUES) is None
    assert body_problem(b"[" + b"[]," * MAX_VALUES + b"1]") == "has more than 500,000 values"
    assert body_problem(b'["' + b'\\",[{' * MAX_VALUES + b'"]') is None


@pytest.mark.parametrize("shift", range(4))
def test_escapes_and_numbers_across_blocks(shift: int) -> None:
    """What is looked at in blocks is found as if it were not."""
    fill = b"x" * (999_990 + shift)
    escaped = b'["' + fill + b"\\\\" * 5 + b'\\"' + b"[" * 300 + b'"]'
    assert body_problem(escaped) is None
    assert json_problem(b'["' + fill + b"\\\\" * 5 + b'",' + b"[" * 300 + b"]" * 301) is not None
    assert json_problem(b'["' + fill + b'",1e999]') == "has a number that is too large"
