"""What ratings decode to, and what each bad one is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.trace import Rating
from gateway.errors import BadRequest, ContentTooLarge, InvalidValue
from gateway.wire import feedback as wire
from gateway.wire.feedback import Subject
from gateway.wire.rating_body import MAX_BODY

TRACE = "tr-" + "0" * 31 + "a"
QUERY = {"trace_id": TRACE, "user_id": "ann"}


def rate(body: object, query: Any = QUERY) -> Rating:
    (rating,) = wire.decode_rating(query, json.dumps(body).encode())[1].given
    return rating


def bad(body: object, query: Any = QUERY) -> dict[str, str]:
    """The problems by field."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidValue) as caught:
        wire.decode_rating(query, raw)
    return dict(caught.value.details)


def test_short_form() -> None:
    """is_correct is the value of `user_feedback`, the comment its rationale, the reasons JSON in its metadata."""
    subject, ratings = wire.decode_rating(
        QUERY, b'{"is_correct": false, "comment": "no", "reasons": ["a", "\xc3\xa9"]}'
    )
    assert subject == Subject(trace_id=TRACE, user_id="ann")
    assert ratings.given == (Rating("user_feedback", False, "no", {"reasons": '["a","é"]'}),)


def test_short_form_with_null_comment() -> None:
    """What is optional may be null."""
    assert rate({"is_correct": True, "comment": None, "reasons": None}) == Rating("user_feedback", True, None, {})


@pytest.mark.parametrize("value", [True, False, 0, -3, 2.5, "good", "", ["a", "b"], [], 2**63 - 1, 1e300])
def test_general_form_keeps_the_value(value: Any) -> None:
    """A value comes out as it went in, in its type."""
    rating = rate({"name": "n", "value": value})
    assert (rating.value, type(rating.value)) == (value, type(value))


def test_general_form_whole() -> None:
    """All its fields arrive."""
    body = {"name": "x", "value": 1, "rationale": "r", "metadata": {"k": "v"}, "span_id": "0" * 16}
    assert rate(body) == Rating("x", 1, "r", {"k": "v"}, "0" * 16)


def test_general_form_may_be_user_feedback() -> None:
    """No name is reserved."""
    assert rate({"name": "user_feedback", "value": True}) == rate({"is_correct": True})


@pytest.mark.parametrize("value", [1, 0, "true", None, [True], 1.0, {}])
def test_is_correct_is_a_boolean(value: Any) -> None:
    """Nothing else stands for true or false."""
    assert [*bad({"is_correct": value})] == ["is_correct"]


@pytest.mark.parametrize("value", [None, {}, [1], [["a"]], [None], 2**63, -(10**400)])
def test_value_types(value: Any) -> None:
    """A value of any other type is refused."""
    assert [*bad({"name": "n", "value": value})] == ["value"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "n" * 251),
        ("name", 5),
        ("rationale", "c" * 10_001),
        ("value", "v" * 10_001),
        ("value", ["é" * 5_000]),
        ("metadata", {"k": 1}),
        ("metadata", {f"k{i}": "v" for i in range(51)}),
        ("metadata", {"k": "v" * 1_001}),
        ("metadata", {"é" * 501: "v"}),
        ("metadata", []),
        ("span_id", "0" * 15),
        ("span_id", "0" * 16 + "\n"),
        ("span_id", "G" * 16),
    ],
)
def test_limits(field: str, value: Any) -> None:
    """One past a limit is refused by the field's name."""
    assert [*bad({"name": "n", "value": 1, field: value})] == [field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "é" * 250),
        ("rationale", "é" * 10_000),
        ("value", "v" * 10_000),
        ("metadata", {f"{i:02}" + "k" * 998: "v" * 1_000 for i in range(50)}),
        ("metadata", {}),
    ],
)
def test_limits_reached(field: str, value: Any) -> None:
    """What just fits is taken."""
    assert getattr(rate({"name": "n", "value": 1, field: value}), field) == value


def test_short_form_limits() -> None:
    """Comment and reasons are bounded, too."""
    assert [*bad({"is_correct": True, "comment": "c" * 10_001, "reasons": ["r"] * 51})] == ["comment", "reasons"]
    assert [*bad({"is_correct": True, "reasons": ["r" * 10_000]})] == ["reasons"]


def test_every_bad_field_is_named() -> None:
    """Body and query are checked together."""
    found = bad({"is_correct": 1, "comment": 2, "extra": 3}, {"trace_id": "tr-1", "user_id": "", "user": "x"})
    assert {*found} == {"is_correct", "comment", "extra", "trace_id", "user_id", "user"}


@pytest.mark.parametrize(
    "body", [{}, {"iscorrect": True}, {"is_correct": True, "name": "n"}, {"name": "n"}, {"value": 1}]
)
def test_neither_form_or_both(body: Any) -> None:
    """A field that is missing, misspelled or of the other form is an error, not a loss."""
    assert bad(body)


@pytest.mark.parametrize("trace", ["", "tr-", TRACE.upper(), TRACE + "0", TRACE + "\n", TRACE[3:], "tr-" + "g" * 32])
def test_trace_id_form(trace: str) -> None:
    """A trace ID of a wrong form is named."""
    assert [*bad({"is_correct": True}, {"trace_id": trace})] == ["trace_id"]


def test_both_ids_or_neither() -> None:
    """Exactly one of the two IDs."""
    assert {*bad({"is_correct": True}, {"trace_id": TRACE, "client_request_id": "c"})} == {
        "trace_id",
        "client_request_id",
    }
    assert bad({"is_correct": True}, {}) == {"trace_id": "trace_id or client_request_id is needed"}


def test_client_request_id() -> None:
    """It serves in place of the trace ID."""
    assert wire.decode_rating({"client_request_id": "c 1"}, b'{"is_correct":true}')[0].client_request_id == "c 1"


def test_misspelled_parameter() -> None:
    """It is named beside the one that is missing."""
    found = bad({"is_correct": True}, {"trace_ID": TRACE})
    assert found["trace_ID"] == "unknown parameter"
    assert "trace_id" in found


def test_parameter_given_twice() -> None:
    """Neither of two is chosen."""
    assert bad({"is_correct": True}, [("trace_id", TRACE), ("trace_id", TRACE)]) == {"trace_id": "given twice"}


def test_field_given_twice() -> None:
    """Nor in JSON, at any depth."""
    assert bad(b'{"is_correct":true,"is_correct":false}') == {"is_correct": "given twice"}
    assert bad(b'{"name":"n","value":1,"metadata":{"k":"1","k":"2"}}') == {"k": "given twice"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"is_correct=true",
        b'{"is_correct":NaN}',
        b'{"is_correct":true}x',
        b"[" * 100_000,
        b"\xff",
        b'{"comment":"\xff"}',
        b'{"comment":"\xed\xa0\x80"}',
        b"\xef\xbb\xbf{}",
        '{"is_correct":true}'.encode("utf-16"),
    ],
)
def test_not_json(body: bytes) -> None:
    """What isn't JSON in UTF-8 is a 400."""
    with pytest.raises(BadRequest):
        wire.decode_rating(QUERY, body)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1"])
def test_not_an_object(body: bytes) -> None:
    """JSON that is no object is a wrong value."""
    assert [*bad(body)] == ["body"]


def test_too_large() -> None:
    """A body far beyond all limits isn't even read."""
    with pytest.raises(ContentTooLarge):
        wire.decode_rating(QUERY, b" " * (MAX_BODY + 1))


@pytest.mark.parametrize("field", ["name", "value", "rationale", "metadata"])
def test_half_a_surrogate_pair(field: str) -> None:
    """Half a character can't be stored, and is refused by name."""
    half: Any = {"k\udc00": "v"} if field == "metadata" else "\ud800x"
    assert [*bad({"name": "n", "value": ["a"], field: half})] == [field]


def test_half_a_surrogate_pair_in_lists_and_names() -> None:
    """Wherever it stands; the error itself can be encoded."""
    assert [*bad({"name": "n", "value": ["\ud800"]})] == ["value"]
    assert [*bad({"is_correct": True, "\ud800": 1})] == ["\\ud800"]


def test_half_a_surrogate_pair_in_place_of_another_type() -> None:
    """It is a bad value also where no text is expected."""
    assert [*bad({"is_correct": "\ud800"})] == ["is_correct"]


def test_a_whole_surrogate_pair() -> None:
    """Two escapes that make one character are text."""
    (rating,) = wire.decode_rating(QUERY, b'{"is_correct":true,"comment":"\\ud83d\\ude00"}')[1].given
    assert rating.rationale == "😀"


@pytest.mark.parametrize("number", [b"1e999", b"-1e999"])
def test_infinite(number: bytes) -> None:
    """A number that no float holds is refused."""
    assert [*bad(b'{"name":"n","value":' + number + b"}")] == ["value"]


def test_errors_are_bounded() -> None:
    """A body of a thousand wrong fields isn't sent back whole."""
    with pytest.raises(InvalidValue) as caught:
        rate({f"{i}{'x' * 300}": i for i in range(1000)})
    assert len(caught.value.details) == 50
    assert max(len(field) for field, _ in caught.value.details) == 250


def test_frame() -> None:
    """A WebSocket frame holds both query and body."""
    frame = {"type": "feedback", "id": "f1", "client_request_id": "c", "user_id": None, "name": "n", "value": 2}
    subject, ratings = wire.decode_frame(json.dumps(frame).encode())
    assert (subject, ratings.given) == (Subject(client_request_id="c"), (Rating("n", 2, None, {}),))


def test_bad_frame() -> None:
    """Its fields are checked alike."""
    with pytest.raises(InvalidValue) as caught:
        wire.decode_frame(b'{"type":"feedback","id":"f1","trace_id":5}')
    assert {field for field, _ in caught.value.details} == {"trace_id", "is_correct"}


def test_a_field_twice_in_a_frame() -> None:
    """It is refused as in a body, since nobody can say which of the two was meant."""
    with pytest.raises(InvalidValue) as caught:
        wire.decode_frame(b'{"type":"feedback","client_request_id":"c","is_correct":true,"is_correct":false}')
    assert ("is_correct", "given twice") in caught.value.details


def test_retraction() -> None:
    """A retraction needs a name."""
    assert wire.decode_retraction({**QUERY, "name": "n"}).name == "n"
    with pytest.raises(InvalidValue) as caught:
        wire.decode_retraction(QUERY)
    assert caught.value.details == (("name", "is required"),)


def test_reading_back() -> None:
    """Reading back takes no more than the subject."""
    assert wire.decode_subject(QUERY) == Subject(trace_id=TRACE, user_id="ann")


@pytest.mark.parametrize("key", ["", "k" * 251, "a\nb", "\x00", "\ud800"])
def test_bad_idempotency_key(key: str) -> None:
    """1 to 250 printable characters."""
    with pytest.raises(InvalidValue):
        wire.check_idempotency_key(key)


@pytest.mark.parametrize("key", [None, "k", "é" * 250])
def test_good_idempotency_key(key: str | None) -> None:
    """It may be absent."""
    wire.check_idempotency_key(key)
