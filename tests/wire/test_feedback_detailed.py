"""Ratings by dimension; and, over whatever may be sent: decoded or refused, never anything else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Dimension
from gateway.domain.trace import Rating
from gateway.errors import GatewayError, InvalidValue
from gateway.wire import feedback as wire
from gateway.wire.feedback import General, Subject, Thumb

TRACE = "tr-" + "0" * 31 + "a"
DIMENSIONS = {
    "accuracy": Dimension(min=1, max=5),
    "depth": Dimension(min=-2, max=2),
    "tone": Dimension(options=("too formal", "right")),
}


def detailed(query: Any = (), body: object = None) -> tuple[Subject, tuple[Rating, ...], dict[str, int | str]]:
    raw = None if body is None else json.dumps(body).encode()
    subject, ratings, given = wire.decode_detailed(query, raw, DIMENSIONS)
    return subject, ratings.given, given


def bad_detailed(query: Any = (), body: object = None) -> dict[str, str]:
    with pytest.raises(InvalidValue) as caught:
        detailed(query, body)
    return dict(caught.value.details)


def test_detailed_by_query() -> None:
    """Scores become shares of the maximum, choices stay; the comment goes on the first."""
    query = [("trace_id", TRACE), ("tone", "right"), ("accuracy", "4"), ("comment", "ok"), ("depth", "-2")]
    subject, ratings, given = detailed(query)
    assert subject == Subject(trace_id=TRACE)
    assert ratings == (
        Rating("user_tone", "right", "ok", {}),
        Rating("user_accuracy", 0.8, None, {"score": "4", "scale": "1-5"}),
        Rating("user_depth", -1.0, None, {"score": "-2", "scale": "-2-2"}),
    )
    assert [*given.items()] == [("tone", "right"), ("accuracy", 4), ("depth", -2)]


def test_detailed_by_json() -> None:
    """A JSON body says the same; null is a dimension that wasn't rated."""
    body = {"trace_id": TRACE, "user_id": "ann", "accuracy": 5, "tone": None, "comment": None}
    subject, ratings, given = detailed((), body)
    assert subject == Subject(trace_id=TRACE, user_id="ann")
    assert ratings == (Rating("user_accuracy", 1.0, None, {"score": "5", "scale": "1-5"}),)
    assert given == {"accuracy": 5}


def test_detailed_by_both() -> None:
    """The trace may stand in the query and the scores in the body; a blank body is none."""
    assert detailed({"trace_id": TRACE}, {"accuracy": 1})[2] == {"accuracy": 1}
    assert wire.decode_detailed({"trace_id": TRACE, "accuracy": "1"}, b" \n", DIMENSIONS)[2] == {"accuracy": 1}
    assert bad_detailed({"trace_id": TRACE, "accuracy": "1"}, {"accuracy": 1}) == {"accuracy": "given twice"}


@pytest.mark.parametrize("text", ["0", "6", "3.5", "4.0", "", " 4", "+4", "04", "x", "true", "٤", "9" * 5000])
def test_detailed_bad_score_in_a_query(text: str) -> None:
    """A scale takes whole numbers within it."""
    assert bad_detailed({"trace_id": TRACE, "accuracy": text}) == {"accuracy": "must be a whole number from 1 to 5"}


@pytest.mark.parametrize("mark", [0, 6, 3.5, 4.0, "4", True, [4], {}])
def test_detailed_bad_score_in_json(mark: Any) -> None:
    """In JSON as a number."""
    assert [*bad_detailed((), {"trace_id": TRACE, "accuracy": mark})] == ["accuracy"]


@pytest.mark.parametrize("mark", ["Right", "", "wrong", 1, ["right"], "\ud800"])
def test_detailed_bad_choice(mark: Any) -> None:
    """A choice takes one of its options."""
    assert bad_detailed((), {"trace_id": TRACE, "tone": mark}) == {"tone": "must be one of: too formal, right"}


def test_detailed_names_every_bad_field() -> None:
    """All of them, and nothing comes of the good ones."""
    query = [
        ("trace_id", TRACE),
        ("accuracy", "9"),
        ("depth", "1"),
        ("tone", "?"),
        ("acuracy", "1"),
        ("comment", "c" * 10_001),
    ]
    found = bad_detailed(query)
    assert {*found} == {"accuracy", "tone", "acuracy", "comment"}
    assert found["acuracy"] == "is no declared dimension"


def test_detailed_without_a_dimension() -> None:
    """At least one is needed."""
    assert bad_detailed({"trace_id": TRACE}) == {"dimensions": "at least one is needed of: accuracy, depth, tone"}


def test_detailed_given_twice() -> None:
    """Neither of two scores is chosen."""
    assert bad_detailed([("trace_id", TRACE), ("accuracy", "1"), ("accuracy", "2")]) == {"accuracy": "given twice"}


TEXT = st.text(max_size=20) | st.text(st.characters(), max_size=5).map(lambda s: s + "\ud800")
NAMES = st.sampled_from(
    [*Thumb.__struct_fields__, *General.__struct_fields__, *Subject.__struct_fields__, *DIMENSIONS, "type", "id"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXT, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(NAMES | TEXT, JSON, max_size=6).map(lambda body: json.dumps(body).encode()) | st.binary(
    max_size=50
)
QUERIES = st.lists(st.tuples(NAMES | TEXT, st.just(TRACE) | TEXT | st.integers().map(str)), max_size=4)


@given(QUERIES, BODIES)
def test_nothing_but_gateway_errors(query: list[tuple[str, str]], body: bytes) -> None:
    """Whatever is sent is decoded or refused, and what is decoded can be encoded."""
    for decode in (
        lambda: wire.decode_rating(query, body),
        lambda: wire.decode_frame(body),
        lambda: wire.decode_detailed(query, body, DIMENSIONS),
        lambda: wire.decode_subject(query),
        lambda: wire.decode_retraction(query),
    ):
        try:
            msgspec.json.encode(decode())
        except GatewayError as error:
            msgspec.json.encode((error.message, error.details))


@given(
    st.booleans()
    | st.integers(1 - 2**63, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=99)
)
def test_good_values_round_trip(value: Any) -> None:
    """Every value of a good type comes out equal, and encodes."""
    body = json.dumps({"name": "n", "value": value}).encode()
    (rating,) = wire.decode_rating({"trace_id": TRACE}, body)[1].given
    assert (rating.value, type(rating.value)) == (value, type(value))
    msgspec.json.encode(rating)
