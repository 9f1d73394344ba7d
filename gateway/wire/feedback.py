"""Ratings on the native wire: queries and bodies in, checked values out; and the replies.

Every bad field of a request is named at once, and nothing unknown is skipped: a typo in a name must not lose a rating.
Sans-I/O; called by web/. What is rated, and by whom, is the store's and the service's to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Protocol, TypeVar

import msgspec
from msgspec import Meta

from gateway.domain.trace import Assessment, Rating, Value
from gateway.wire.chat_body import Id
from gateway.wire.rating_body import MAX_PAIR, Problems, encode, once, read_object, refuse, take

_ENVELOPE = ("type", "id", "feedback_token")  # what every frame may have, which the socket reads itself
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")

Comment = Annotated[str, Meta(max_length=10_000)]
TraceId = Annotated[str, Meta(pattern="^tr-[0-9a-f]{32}$", max_length=35)]  # the length: `$` lets a line end pass
SpanId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$", max_length=16)]
_Text = Annotated[str, Meta(max_length=MAX_PAIR)]
Query = Mapping[str, str] | Iterable[tuple[str, str]]


class Dimension(Protocol):
    """A scale (min, max) or a choice (options), as the configuration declares it."""

    @property
    def min(self) -> int | None: ...
    @property
    def max(self) -> int | None: ...
    @property
    def options(self) -> tuple[str, ...] | None: ...


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Query: the trace, by one of its two IDs, and the rater."""

    trace_id: TraceId | None = None
    client_request_id: Id | None = None
    user_id: Id | None = None


S = TypeVar("S", bound=Subject)


class NamedSubject(Subject, frozen=True, kw_only=True):
    """Query of a retraction."""

    name: Id


class Thumb(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a rating: right or wrong."""

    is_correct: bool
    comment: Comment | None = None
    reasons: Annotated[list[str], Meta(max_length=50)] | None = None


class General(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a rating of any name and value."""

    name: Id
    value: Value
    rationale: Comment | None = None
    metadata: Annotated[dict[_Text, _Text], Meta(max_length=50)] | None = None
    span_id: SpanId | None = None


class _Remark(msgspec.Struct, frozen=True):
    comment: Comment | None = None


class Ratings(msgspec.Struct, frozen=True):
    """What a rater gives in one request, all or nothing. `request` is what a retry must repeat to be the same one."""

    given: tuple[Rating, ...]
    request: tuple[object, ...]


class Rated(msgspec.Struct, frozen=True, kw_only=True):
    """The rating is committed."""

    status: Literal["success"] = "success"
    trace_id: str
    assessment_id: str


class RatedDetailed(msgspec.Struct, frozen=True, kw_only=True):
    """The ratings are committed. `feedback_recorded`: raw scores and options by dimension."""

    status: Literal["success"] = "success"
    trace_id: str
    feedback_recorded: dict[str, int | str]


class Retracted(msgspec.Struct, frozen=True, kw_only=True):
    """The ratings are invalid now. `retracted`: how many valid ones of that name there were."""

    status: Literal["success"] = "success"
    trace_id: str
    name: str
    retracted: int


class TokenRequest(Subject, frozen=True, kw_only=True):
    """POST /feedback/token, query or body. Without `user_id` the trace's own user rates; without `names`, any."""

    names: Annotated[list[Id], Meta(max_length=50)] = []


class TokenReply(msgspec.Struct, frozen=True, kw_only=True):
    """A feedback token. `expires_at` null: it doesn't expire."""

    feedback_token: str
    trace_id: str
    expires_at: int | None


class FeedbackItem(msgspec.Struct, frozen=True):
    """One valid rating of this rater's."""

    assessment_id: str
    name: str
    value: Value
    rationale: str | None
    metadata: dict[str, str]


class FeedbackList(msgspec.Struct, frozen=True):
    """This rater's valid ratings of a trace, oldest first."""

    trace_id: str
    feedback: list[FeedbackItem]


def item_of(rating: Assessment) -> FeedbackItem:
    """Return a stored rating as it is read back."""
    return FeedbackItem(rating.assessment_id, rating.name, rating.value, rating.rationale, rating.metadata)


# `known` below is the trace where the query need not name it, since the caller's feedback token does.


def decode_subject(query: Query, *, known: str | None = None) -> Subject:
    """Return the subject of reading back. Raise InvalidValue."""
    problems: Problems = []
    return _subject(Subject, once(_pairs(query), problems), problems, known)


def decode_retraction(query: Query, *, known: str | None = None) -> NamedSubject:
    """Return the subject and name of a retraction. Raise InvalidValue."""
    problems: Problems = []
    return _subject(NamedSubject, once(_pairs(query), problems), problems, known)


def decode_rating(query: Query, body: bytes, *, known: str | None = None) -> tuple[Subject, Ratings]:
    """Return one rating, given in either form. Raise BadRequest, ContentTooLarge, InvalidValue."""
    problems: Problems = []
    fields = read_object(body, problems)
    return _rating(once(_pairs(query), problems), fields, problems, known)


def decode_token_request(query: Query, body: bytes | None) -> TokenRequest:
    """Return what a token is wanted for: from the query, a JSON body, or both. Raise BadRequest, InvalidValue."""
    problems: Problems = []
    given: list[tuple[str, Any]] = list(_pairs(query))
    if body and not body.isspace():
        given += read_object(body, problems).items()
    return _subject(TokenRequest, once(given, problems), problems, None, "unknown field")


def decode_frame(frame: bytes, *, known: str | None = None) -> tuple[Subject, Ratings]:
    """Return the rating of a WebSocket's frame: query and body side by side, with `type`, `id` and `feedback_token`.

    It takes the frame whole, since only that shows a field that is given twice.
    """
    problems: Problems = []
    fields = {name: value for name, value in read_object(frame, problems).items() if name not in _ENVELOPE}
    parameters = {name: fields.pop(name) for name in Subject.__struct_fields__ if name in fields}
    return _rating(parameters, fields, problems, known)


def decode_detailed(
    query: Query, body: bytes | None, dimensions: Mapping[str, Dimension], *, known: str | None = None
) -> tuple[Subject, Ratings, dict[str, int | str]]:
    """Return ratings by dimension and, by the same names, what was given: in the query, a JSON body, or both."""
    problems: Problems = []
    given: list[tuple[str, Any]] = []
    for name, text in _pairs(query):
        scale = name in dimensions and dimensions[name].options is None
        given.append((name, int(text) if scale and _WHOLE.fullmatch(text) else text))
    if body and not body.isspace():
        given += read_object(body, problems).items()
    fields = once(given, problems)
    # What a form left empty arrives as null.
    marks = {name: fields.pop(name) for name in tuple(fields) if name in dimensions}
    recorded = {name: mark for name, mark in marks.items() if mark is not None}
    if not recorded:
        problems.append(("dimensions", f"at least one is needed of: {', '.join(dimensions)}"))
    problems += [(name, why) for name, mark in recorded.items() if (why := _mark_problem(mark, dimensions[name]))]
    comment = take(_Remark, fields, problems).get("comment")
    subject = _subject(Subject, fields, problems, known, "is no declared dimension")
    ratings = [_dimension_rating(name, mark, dimensions[name]) for name, mark in recorded.items()]
    ratings[0] = msgspec.structs.replace(ratings[0], rationale=comment)
    # The scores as given: a scale that was changed meanwhile makes no other request of a retry.
    request = ("detailed-feedback", list(recorded.items()), comment)
    return subject, Ratings(tuple(ratings), request), recorded


def check_idempotency_key(key: str | None) -> str | None:
    """Return the header's value where it may be one. Raise InvalidValue."""
    if key is not None and not (1 <= len(key) <= 250 and key.isprintable()):
        refuse([("Idempotency-Key", "must be 1 to 250 printable characters")])
    return key


# --- ratings ---------------------------------------------------------------------------------------------------------


def _rating(
    parameters: dict[str, Any], fields: dict[str, Any], problems: Problems, known: str | None
) -> tuple[Subject, Ratings]:
    kind = General if "is_correct" not in fields and fields.keys() & {"name", "value"} else Thumb
    values = take(kind, fields, problems)
    problems += [(name, "unknown field") for name in fields]
    subject = _subject(Subject, parameters, problems, known)
    if kind is General:
        form = General(**values)
        rating = Rating(form.name, form.value, form.rationale, form.metadata or {}, form.span_id)
    else:
        thumb = Thumb(**values)
        metadata = {} if thumb.reasons is None else {"reasons": encode(thumb.reasons).decode()}
        rating = Rating("user_feedback", thumb.is_correct, thumb.comment, metadata)
    return subject, Ratings((rating,), ("feedback", rating))


def _mark_problem(mark: Any, dimension: Dimension) -> str | None:
    if dimension.options is not None:
        return None if mark in dimension.options else f"must be one of: {', '.join(dimension.options)}"
    low, high = _scale(dimension)
    whole = type(mark) is int  # true is none, nor is 4.0
    return None if whole and low <= mark <= high else f"must be a whole number from {low} to {high}"


def _dimension_rating(name: str, mark: Any, dimension: Dimension) -> Rating:
    if dimension.options is not None:
        return Rating(f"user_{name}", mark, None, {})
    low, high = _scale(dimension)
    return Rating(f"user_{name}", mark / high, None, {"score": str(mark), "scale": f"{low}-{high}"})


def _scale(dimension: Dimension) -> tuple[int, int]:
    return dimension.min or 0, dimension.max or 1  # the configuration has checked that both are there


def _pairs(query: Query) -> Iterable[tuple[str, str]]:
    return query.items() if isinstance(query, Mapping) else query


def _subject(
    kind: type[S], fields: dict[str, Any], problems: Problems, known: str | None, unknown: str = "unknown parameter"
) -> S:
    """Return the subject, decoded last: what remains in `fields` is unknown. Raise what `problems` has gathered."""
    values = take(kind, fields, problems)
    problems += [(name, unknown) for name in fields]
    named = {name for name, _ in problems}
    ids = [name for name in ("trace_id", "client_request_id") if values.get(name) is not None or name in named]
    if not ids and known is not None:
        values["trace_id"] = known
    elif len(ids) != 1:
        why = "not both trace_id and client_request_id" if ids else "trace_id or client_request_id is needed"
        problems += [(name, why) for name in ids or ["trace_id"]]
    if problems:
        refuse(problems)
    return kind(**values)
