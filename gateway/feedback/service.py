"""Takes ratings, retracts them, reads them back. What returns has been committed.

It knows no bodies (wire/feedback.py decodes them for the handlers), and it doesn't ask who may rate: the routes do.
A rater is the `user_id` that the caller vouches for, else the trace's anonymous one. Nobody reaches beyond the
caller's project.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from gateway.access.principal import Principal
from gateway.access.tokens import MAX_CHARS, IssuedToken, Tokens
from gateway.domain import ids
from gateway.domain.activity import RatingActivity, score_of
from gateway.domain.trace import Assessment
from gateway.errors import Forbidden, InvalidValue, NotFound
from gateway.storage.engine import Engine
from gateway.storage.scripts.feedback import (
    FeedbackReceipt,
    FeedbackWrite,
    feedback_of,
    record_feedback,
    replayed_feedback,
    retract_feedback,
)
from gateway.storage.scripts.traces import get_trace, resolve_trace
from gateway.wire.feedback import NamedSubject, Ratings, Subject

S = TypeVar("S", bound=Subject)


class Feedback:
    """`recorded` hears of each change once it is committed.

    `limit` is asked, by a name for its trace and rater, before a feedback token rates, or a page on its socket; it
    raises TooManyRequests.
    """

    def __init__(
        self,
        store: Engine,
        tokens: Tokens,
        recorded: Callable[[RatingActivity], None],
        limit: Callable[[str], None],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._limit = limit
        self._recorded = recorded

    async def rate(self, principal: Principal, subject: Subject, ratings: Ratings, key: str | None) -> FeedbackReceipt:
        """Store ratings, all or none, and return once they are committed.

        `key` is an Idempotency-Key: the same request with it gets the first receipt again. Raise InvalidValue for
        another request with it, Forbidden, NotFound, TooManyRequests, StoreUnavailable.
        """
        subject = await self._own(principal, subject, [rating.name for rating in ratings.given])
        write = FeedbackWrite(
            project=principal.project,
            trace_id=subject.trace_id,
            client_request_id=subject.client_request_id,
            source_id=subject.user_id,
            key_id=principal.key_id,
            ratings=ratings.given,
            # In the order in which they were given, where the store looks at time and ID.
            assessment_ids=tuple(sorted(ids.new_assessment_id() for _ in ratings.given)),
            idempotency_key=key,
            # of what was understood, not of the bytes: a retry may order its fields differently
            body_hash=hashlib.sha256(msgspec.json.encode((subject, *ratings.request), order="sorted")).hexdigest(),
            now=ids.now_ms(),
        )
        if principal.role in ("token", "publishable"):  # the latter by a WebSocket, of what was asked on it
            if key is not None and (first := await self._store.read(replayed_feedback, write)):
                return first  # a reply that was lost is no second rating
            self._limit(f"{subject.trace_id} {principal.user_id}")
        receipt = await self._store.write(record_feedback, write)
        if not receipt.replayed:
            for stored in receipt.assessments:
                self._recorded(_activity(stored))
        return receipt

    async def retract(self, principal: Principal, subject: NamedSubject) -> tuple[str, int]:
        """Invalidate this rater's ratings of one name. Return the trace's ID and how many there were."""
        subject, now = await self._own(principal, subject, (subject.name,)), ids.now_ms()
        trace_id, count = await self._store.write(
            retract_feedback,
            principal.project,
            subject.trace_id,
            subject.client_request_id,
            subject.user_id,
            subject.name,
            now,
            principal.key_id,
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
        return trace_id, count

    async def read(self, principal: Principal, subject: Subject) -> tuple[str, Sequence[Assessment]]:
        """Return a trace's ID and this rater's valid ratings of it, oldest first."""
        subject = await self._own(principal, subject, ())
        trace_id = await self._resolve(principal, subject)
        if trace_id is None:
            raise NotFound("There is no such trace.")
        found = await self._store.read(feedback_of, principal.project, [trace_id], subject.user_id)
        return trace_id, found.get(trace_id, ())

    async def issue_token(
        self, principal: Principal, subject: Subject, names: tuple[str, ...]
    ) -> tuple[str, IssuedToken]:
        """Return a trace's ID and a token for it. Raise NotFound, InvalidValue.

        Its rater is the caller's own, else the subject's, else the trace's user. Without `names` it is for any rating.
        """
        trace_id = await self._resolve(principal, subject)
        trace = await self._store.read(get_trace, principal.project, trace_id or "")
        if trace is None:
            raise NotFound("There is no such trace.")
        rater = principal.user_id or subject.user_id or trace.user_id
        token = self._tokens.issue(principal, trace.trace_id, rater, names)
        if len(token.text) > MAX_CHARS:
            problem = "too many to fit into a token"
            raise InvalidValue(f"names: {problem}", details=[("names", problem)])
        return trace.trace_id, token

    def announce(self, stored: Assessment) -> None:
        """Tell of a rating that was stored another way."""
        self._recorded(_activity(stored))

    async def _own(self, principal: Principal, subject: S, names: Iterable[str]) -> S:
        """Return the subject as the caller's credential has it: its rater counts, whoever is named. Raise Forbidden."""
        if principal.user_id is not None:
            subject = msgspec.structs.replace(subject, user_id=principal.user_id)
        if principal.token is None:
            return subject
        if others := [name for name in names if principal.token.names and name not in principal.token.names]:
            raise Forbidden(f"This feedback token is not for ratings named {others[0]}.")
        trace_id = subject.trace_id
        if trace_id is None:  # others may have asked with the same ID
            own = await self._store.read(get_trace, principal.project, principal.token.trace_id)
            is_own = own is not None and own.client_request_id == subject.client_request_id
            trace_id = principal.token.trace_id if is_own else await self._resolve(principal, subject)
            if trace_id is None:
                raise NotFound("There is no such trace.")
        principal.check_trace(trace_id)
        return msgspec.structs.replace(subject, trace_id=trace_id, client_request_id=None)

    async def _resolve(self, principal: Principal, subject: Subject) -> str | None:
        """Return the ID of the trace that a subject means, if there is one."""
        rater = principal.user_id or subject.user_id
        return await self._store.read(
            resolve_trace, principal.project, subject.trace_id, subject.client_request_id, principal.key_id, rater
        )


def _activity(stored: Assessment) -> RatingActivity:
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
