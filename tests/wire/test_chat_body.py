"""What every body has in common: values decoded by name, and options in headers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, InvalidValue
from gateway.wire.chat_body import convert, decode_fields, header_options, traceparent
from gateway.wire.redact import redact
from tests.support.provider_streams import few


@few
@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_values_stay_raw(fields: dict[str, Any]) -> None:
    """They go to the provider as they came."""
    body = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
    assert {k: json.loads(bytes(v)) for k, v in decode_fields(body).items()} == json.loads(body)


def test_a_value_that_is_no_json_is_refused() -> None:
    """A raw value is checked only when it is read."""
    with pytest.raises(InvalidValue, match="half of a surrogate"):
        convert(b'"\\ud800"', str)
    with pytest.raises(BadRequest):
        convert(b"nonsense", str)


def test_a_problem_with_the_whole_is_the_bodys() -> None:
    """Without a field's name."""
    with pytest.raises(InvalidValue) as caught:
        convert(b"5", str)
    assert caught.value.details == (("body", "Expected `str`, got `int`"),)


def test_options_ride_in_headers() -> None:
    """By name, as UTF-8 or, failing that, latin-1; tags by their prefix; other headers are nobody's."""
    headers = [(b"x-a", "é".encode()), (b"x-b", b"\xe9"), (b"x-tag-team", b""), (b"x-other", b"1")]
    assert header_options(headers, {b"x-a": "a", b"x-b": "b"}) == {"a": "é", "b": "é", "tag:team": ""}


@pytest.mark.parametrize("value", [b"", b"x" * 251])
def test_an_option_of_a_wrong_length_is_named(value: bytes) -> None:
    """As the header that it was."""
    with pytest.raises(InvalidValue) as caught:
        header_options([(b"x-a", value)], {b"x-a": "a"})
    assert caught.value.details[0][0] == "x-a"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Incorrect API key provided: sk-abc***xyz.", "Incorrect API key provided: …"),
        ("at https://10.0.0.1:80/v1?x=1 now", "at … now"),
        ("Bearer abc.def", "…"),
        ("connect to 127.0.0.1:4000 failed", "connect to … failed"),
        ("localhost:11434, [::1]:80, api.example.com/v1", "…, …, …"),
        ("a\nb\x1b[31m\u202ec", "a b [31m c"),
        ("my hunter2 pass, My HUNTER2", "my … pass, My …"),
        ("fe80::1 and 2001:db8::5 are down", "… and … are down"),
        ("at vllm-0:8000, -odd:80", "at …, …"),
        ("see .api.example.com/x or _http://a", "see … or _…"),
        ("std::bad_alloc", "std::bad_alloc"),
        ("x" * 600, "x" * 500),
        ("nothing to hide in 3.5 e.g.", "nothing to hide in 3.5 e.g."),
    ],
)
def test_what_a_client_must_not_see_is_taken_out(text: str, shown: str) -> None:
    """Keys, addresses, control characters, the secret itself."""
    assert redact(text, ["hunter2"]) == shown
    assert redact("hunter2") == "hunter2"


@pytest.mark.parametrize("unit", ["a.", "a-", "a:", "a+", "1.", "0:", "sk-", "a/", " "])
def test_scrubbing_long_text_costs_no_more_than_its_length(unit: str) -> None:
    """Where each place were searched to the end, ten million characters would take days."""
    assert len(redact(unit * 5_000_000, ["hunter2"])) <= 500


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, False), ("00-ab", False), ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", True),
        ("ff-" + "a" * 32 + "-" + "b" * 16 + "-01", False), ("00-" + "0" * 32 + "-" + "b" * 16 + "-01", False),
        ("00-" + "a" * 32 + "-" + "0" * 16 + "-01", False), ("00-" + "A" * 32 + "-" + "b" * 16 + "-01", False),
        ("01-" + "a" * 32 + "-" + "b" * 16 + "-01-more", True),
    ],
)  # fmt: skip
def test_a_traceparent_is_kept_where_it_is_one(given: str | None, kept: bool) -> None:
    """By the form of W3C Trace Context; anything else is ignored, as it says."""
    headers = [(b"x-other", b"1")] + ([(b"traceparent", given.encode())] if given else [])
    assert traceparent(headers) == (given if kept else None)
