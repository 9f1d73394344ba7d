"""Takes ratings, retracts them, reads them back. Every reply follows the commit.

It is no wire (wire/feedback.py decodes), and it doesn't ask who may rate: the routes, which call it, do. A rater is the
`user_id` that the caller vouches for, else the trace's anonymous one. Nobody reaches beyond the caller's project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from gateway.access.principal import Principal
from gateway.config.current import Current
from gateway.domain import ids
from gateway.domain.activity import RatingActivity, score_of
from gateway.domain.trace import Assessment
from gateway.errors import Forbidden, NotFound
from gateway.storage.engine import Engine
from gateway.storage.scripts.feedback import (
    FeedbackReceipt,
    FeedbackWrite,
    feedback_of,
    record_feedback,
    replayed_feedback,
    retract_feedback,
)
from gateway.storage.scripts.traces import resolve_trace
from gateway.wire import feedback as wire
from gateway.wire.feedback import FeedbackList, Query, Rated, RatedDetailed, Rating, Retracted, Subject

S = TypeVar("S", bound=Subject)


class Feedback:
    """`recorded` hears of each change once it is committed.

    `limit` is asked, by a name for its trace and rater, before a feedback token rates, or a page on its socket; it
    raises TooManyRequests.
    """

    def __init__(
        self,
        store: Engine,
        current: Current,
        recorded: Callable[[RatingActivity], None],
        limit: Callable[[str], None],
    ) -> None:
        self._store = store
        self._limit = limit
        self._current = current
        self._recorded = recorded

    async def rate(self, principal: Principal, query: Query, body: bytes, idempotency_key: str | None) -> Rated:
        """One rating, in the short or the general form."""
        wire.check_idempotency_key(idempotency_key)
        subject, rating = wire.decode_rating(query, body, known=principal.trace_id)
        return await self._rate(principal, subject, rating, idempotency_key)

    async def rate_frame(self, principal: Principal, frame: bytes) -> Rated:
        """The same by a WebSocket's frame, whole."""
        return await self._rate(principal, *wire.decode_frame(frame, known=principal.trace_id), None)

    async def _rate(self, principal: Principal, subject: Subject, rating: Rating, key: str | None) -> Rated:
        receipt = await self._record(principal, subject, (rating,), key, ("feedback", rating))
        return Rated(trace_id=receipt.trace_id, assessment_id=receipt.assessments[0].assessment_id)

    async def rate_detailed(
        self, principal: Principal, query: Query, body: bytes | None, idempotency_key: str | None
    ) -> RatedDetailed:
        """A rating by dimensions: all of them or none."""
        wire.check_idempotency_key(idempotency_key)
        dimensions = self._current.value.feedback.dimensions
        subject, ratings, given = wire.decode_detailed(query, body, dimensions, known=principal.trace_id)
        # The scores as given: a scale that was changed meanwhile makes no other request of a retry.
        request = ("detailed-feedback", list(given.items()), ratings[0].rationale)
        receipt = await self._record(principal, subject, ratings, idempotency_key, request)
        return RatedDetailed(trace_id=receipt.trace_id, feedback_recorded=given)

    async def retract(self, principal: Principal, query: Query) -> Retracted:
        """Invalidate this rater's ratings of one name; none there is no error."""
        named, now = wire.decode_retraction(query, known=principal.trace_id), ids.now_ms()
        subject = await self._own(principal, named, (named.name,))
        trace_id, count = await self._store.write(
            retract_feedback,
            principal.project,
            subject.trace_id,
            subject.client_request_id,
            subject.user_id,
            subject.name,
            now,
        )
        if count:
            self._recorded(
                RatingActivity(
                    time=now,
                    trace_id=trace_id,
                    name=subject.name,
                    value=None,
                    source_id=subject.user_id or f"anonymous:{trace_id}",
                    project=principal.project,
                )
            )
        return Retracted(trace_id=trace_id, name=subject.name, retracted=count)

    async def read(self, principal: Principal, query: Query) -> FeedbackList:
        """This rater's valid ratings of a trace, oldest first."""
        subject = await self._own(principal, wire.decode_subject(query, known=principal.trace_id), ())
        trace_id = await self._store.read(resolve_trace, principal.project, subject.trace_id, subject.client_request_id)
        if trace_id is None:
            raise NotFound("No such trace.")
        found = await self._store.read(feedback_of, principal.project, [trace_id], subject.user_id)
        return FeedbackList(trace_id, [wire.item_of(rating) for rating in found.get(trace_id, ())])

    def announce(self, stored: Assessment) -> None:
        """Tell of a rating that was stored another way."""
        self._recorded(_news(stored))

    async def _own(self, principal: Principal, subject: S, names: Iterable[str]) -> S:
        """The subject as the caller's credential has it: its rater counts, whoever else was named. Raises Forbidden."""
        if principal.user_id is not None:
            subject = msgspec.structs.replace(subject, user_id=principal.user_id)
        if principal.token is None:
            return subject
        if others := [name for name in names if principal.token.names and name not in principal.token.names]:
            raise Forbidden(f"This feedback token is not for ratings named {others[0]}.")
        trace_id = subject.trace_id
        if trace_id is None:
            trace_id = await self._store.read(resolve_trace, principal.project, None, subject.client_request_id)
            if trace_id is None:
                raise NotFound("No such trace.")
        principal.check_trace(trace_id)
        return msgspec.structs.replace(subject, trace_id=trace_id, client_request_id=None)

    async def _record(
        self,
        principal: Principal,
        subject: Subject,
        ratings: tuple[Rating, ...],
        key: str | None,
        request: tuple[object, ...],
    ) -> FeedbackReceipt:
        subject = await self._own(principal, subject, [rating.name for rating in ratings])
        now = ids.now_ms()
        # In the order in which they were given, where the store looks at time and ID.
        fresh = sorted(ids.new_assessment_id() for _ in ratings)
        write = FeedbackWrite(
            project=principal.project,
            trace_id=subject.trace_id,
            client_request_id=subject.client_request_id,
            source_id=subject.user_id,
            assessments=tuple(_assessment(*made, principal.project, now) for made in zip(fresh, ratings, strict=True)),
            idempotency_key=key,
            # of what was understood, not of the bytes: a retry may order its fields differently
            body_hash=hashlib.sha256(msgspec.json.encode((subject, *request), order="sorted")).hexdigest(),
            now=now,
        )
        if principal.role in ("token", "publishable"):  # the latter by a WebSocket, of what was asked on it
            if key is not None and (first := await self._store.read(replayed_feedback, write)):
                return first  # a reply that was lost is no second rating
            self._limit(f"{subject.trace_id} {principal.user_id}")
        receipt = await self._store.write(record_feedback, write)
        if not receipt.replayed:
            for stored in receipt.assessments:
                self._recorded(_news(stored))
        return receipt


def _assessment(assessment_id: str, rating: Rating, project: str, now: int) -> Assessment:
    return Assessment(
        assessment_id=assessment_id,
        trace_id="",  # the store's to fill in, as is the rater
        source_id="",
        project=project,
        name=rating.name,
        value=rating.value,
        rationale=rating.rationale,
        metadata=rating.metadata,
        span_id=rating.span_id,
        create_time=now,
        last_update_time=now,
    )


def _news(stored: Assessment) -> RatingActivity:
    return RatingActivity(
        time=stored.create_time,
        trace_id=stored.trace_id,
        name=stored.name,
        value=stored.value,
        source_id=stored.source_id,
        project=stored.project,
        score=score_of(stored.metadata),
        comment=stored.rationale,
    )
