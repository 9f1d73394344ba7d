"""The rating service over a real store."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.access.principal import KEYLESS, Principal
from gateway.access.tokens import Tokens
from gateway.config.current import Current
from gateway.config.schema import Config, Dimension
from gateway.config.schema import Feedback as Declared
from gateway.domain.activity import RatingActivity
from gateway.domain.ids import new_span_id, new_trace_id, now_ms
from gateway.domain.trace import TraceStart
from gateway.errors import InvalidValue, NotFound, StoreUnavailable
from gateway.feedback.service import Feedback
from gateway.storage.scripts.traces import begin_trace
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.wire import feedback as wire
from gateway.wire.feedback import FeedbackItem

OTHER = Principal("key-1", "chat", "other", "k")
YES, NO = b'{"is_correct": true}', b'{"is_correct": false}'


class Bench:
    """A service, its store, and what it told."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store
        self.begun = 0  # traces so far: each a millisecond after the one before
        self.told: list[RatingActivity] = []
        self.asked: list[str] = []
        self.current = Current(Config())
        self.declare({name: Dimension(min=1, max=5) for name in ("accuracy", "helpfulness")})
        self.feedback = Feedback(store, Tokens(("k",), 60), self.told.append, self.asked.append)

    def declare(self, dimensions: dict[str, Dimension]) -> None:
        self.current.replace(Config(feedback=Declared(dimensions=dimensions)))

    async def trace(self, client_request_id: str | None = None) -> str:
        trace_id = new_trace_id()
        self.begun += 1
        await self.store.write(
            begin_trace,
            TraceStart(
                trace_id=trace_id,
                root_span_id=new_span_id(),
                project="default",
                route="/chat",
                request_time=now_ms() + self.begun,
                model="m",
                session_id="s",
                client_request_id=client_request_id,
            ),
        )
        return trace_id

    async def ratings(self, trace_id: str, user: str | None = None) -> list[FeedbackItem]:
        query = {"trace_id": trace_id} | ({"user_id": user} if user else {})
        return (await self.read(KEYLESS, query)).feedback

    # As the handlers do it: decode, call, encode.

    async def rate(self, principal: Principal, query: wire.Query, body: bytes, key: str | None) -> wire.Rated:
        subject, ratings = wire.decode_rating(query, body, known=principal.trace_id)
        receipt = await self.feedback.rate(principal, subject, ratings, wire.check_idempotency_key(key))
        return wire.Rated(trace_id=receipt.trace_id, assessment_id=receipt.assessments[0].assessment_id)

    async def rate_detailed(
        self, principal: Principal, query: wire.Query, body: bytes | None, key: str | None
    ) -> wire.RatedDetailed:
        dimensions = self.current.value.feedback.dimensions
        subject, ratings, given = wire.decode_detailed(query, body, dimensions, known=principal.trace_id)
        receipt = await self.feedback.rate(principal, subject, ratings, wire.check_idempotency_key(key))
        return wire.RatedDetailed(trace_id=receipt.trace_id, feedback_recorded=given)

    async def retract(self, principal: Principal, query: wire.Query) -> wire.Retracted:
        subject = wire.decode_retraction(query, known=principal.trace_id)
        trace_id, count = await self.feedback.retract(principal, subject)
        return wire.Retracted(trace_id=trace_id, name=subject.name, retracted=count)

    async def read(self, principal: Principal, query: wire.Query) -> wire.FeedbackList:
        trace_id, found = await self.feedback.read(principal, wire.decode_subject(query, known=principal.trace_id))
        return wire.FeedbackList(trace_id, [wire.item_of(rating) for rating in found])


@pytest.fixture
async def bench(store: SQLiteStore) -> Bench:
    return Bench(store)


async def test_rating_a_running_trace(bench: Bench) -> None:
    """A rating is stored with its rater, told once, and read back."""
    trace_id = await bench.trace()
    body = b'{"is_correct": false, "comment": "no", "reasons": ["slow"]}'
    rated = await bench.rate(KEYLESS, {"trace_id": trace_id, "user_id": "ann"}, body, None)
    assert (rated.status, rated.trace_id) == ("success", trace_id)
    metadata = {"reasons": '["slow"]'}
    assert await bench.ratings(trace_id, "ann") == [
        FeedbackItem(rated.assessment_id, "user_feedback", False, "no", metadata)
    ]
    (told,) = bench.told
    assert (told.trace_id, told.name, told.value, told.source_id) == (trace_id, "user_feedback", False, "ann")
    assert (told.comment, told.project) == ("no", "default")


async def test_replies_as_json(bench: Bench) -> None:
    """The replies have the fields that clients rely on, in their names."""
    trace_id = await bench.trace()
    query = {"trace_id": trace_id}

    def plain(reply: Any) -> Any:
        return json.loads(msgspec.json.encode(reply))

    rated = plain(await bench.rate(KEYLESS, query, b'{"name":"n","value":"v"}', None))
    assert [*rated] == ["status", "trace_id", "assessment_id"]
    item = {"assessment_id": rated["assessment_id"], "name": "n", "value": "v", "rationale": None, "metadata": {}}
    assert plain(await bench.read(KEYLESS, query)) == {"trace_id": trace_id, "feedback": [item]}
    detailed = plain(await bench.rate_detailed(KEYLESS, {**query, "accuracy": "4"}, None, None))
    assert detailed == {"status": "success", "trace_id": trace_id, "feedback_recorded": {"accuracy": 4}}
    retracted = plain(await bench.retract(KEYLESS, {**query, "name": "n"}))
    assert retracted == {"status": "success", "trace_id": trace_id, "name": "n", "retracted": 1}


async def test_anonymous_rater(bench: Bench) -> None:
    """Without a user the rater is the trace's anonymous one, apart from everybody named."""
    trace_id = await bench.trace()
    await bench.rate(KEYLESS, {"trace_id": trace_id}, YES, None)
    assert bench.told[0].source_id == f"anonymous:{trace_id}"
    assert len(await bench.ratings(trace_id)) == 1
    assert await bench.ratings(trace_id, "ann") == []


async def test_newest_trace_of_a_client_request(bench: Bench) -> None:
    """A client request ID stands for the newest trace with it."""
    await bench.trace("c-1")
    newest = await bench.trace("c-1")
    rated = await bench.rate(KEYLESS, {"client_request_id": "c-1"}, YES, None)
    assert rated.trace_id == newest
    assert (await bench.read(KEYLESS, {"client_request_id": "c-1"})).trace_id == newest


async def test_rating_again_overrides(bench: Bench) -> None:
    """The same rater, trace and name count once, with the latest value."""
    trace_id = await bench.trace()
    first = await bench.rate(KEYLESS, {"trace_id": trace_id}, YES, None)
    second = await bench.rate(KEYLESS, {"trace_id": trace_id}, NO, None)
    assert first.assessment_id != second.assessment_id
    assert [(item.assessment_id, item.value) for item in await bench.ratings(trace_id)] == [
        (second.assessment_id, False)
    ]


async def test_detailed(bench: Bench) -> None:
    """One rating a dimension: shares of the scale, the comment on the first."""
    trace_id = await bench.trace()
    query = [("trace_id", trace_id), ("helpfulness", "4"), ("accuracy", "5"), ("comment", "ok")]
    reply = await bench.rate_detailed(KEYLESS, query, None, None)
    assert reply.feedback_recorded == {"helpfulness": 4, "accuracy": 5}
    found = {item.name: (item.value, item.rationale, item.metadata) for item in await bench.ratings(trace_id)}
    assert found == {
        "user_helpfulness": (0.8, "ok", {"score": "4", "scale": "1-5"}),
        "user_accuracy": (1.0, None, {"score": "5", "scale": "1-5"}),
    }
    assert [told.name for told in bench.told] == ["user_helpfulness", "user_accuracy"]


async def test_detailed_is_all_or_nothing(bench: Bench) -> None:
    """One bad score, and nothing is stored or told."""
    trace_id = await bench.trace()
    with pytest.raises(InvalidValue):
        await bench.rate_detailed(KEYLESS, {"trace_id": trace_id, "accuracy": "4", "helpfulness": "6"}, b"", None)
    assert (await bench.ratings(trace_id), bench.told) == ([], [])


async def test_dimensions_of_the_moment(bench: Bench) -> None:
    """A reloaded configuration counts from the next rating on."""
    trace_id = await bench.trace()
    bench.declare({"tone": Dimension(options=("right",))})
    reply = await bench.rate_detailed(KEYLESS, {"trace_id": trace_id, "tone": "right"}, None, None)
    assert reply.feedback_recorded == {"tone": "right"}


async def test_retraction_ends_the_chain(bench: Bench) -> None:
    """Nothing comes back that was overridden; a second retraction finds nothing, and tells nothing."""
    trace_id = await bench.trace()
    for body in (YES, NO):
        await bench.rate(KEYLESS, {"trace_id": trace_id}, body, None)
    query = {"trace_id": trace_id, "name": "user_feedback"}
    assert [(await bench.retract(KEYLESS, query)).retracted for _ in range(2)] == [1, 0]
    assert await bench.ratings(trace_id) == []
    assert [(told.value, told.source_id) for told in bench.told[2:]] == [(None, f"anonymous:{trace_id}")]


async def test_retracting_ones_own_only(bench: Bench) -> None:
    """Another rater's rating of that name stays."""
    trace_id = await bench.trace()
    for user in ("ann", "bob"):
        await bench.rate(KEYLESS, {"trace_id": trace_id, "user_id": user}, YES, None)
    await bench.retract(KEYLESS, {"trace_id": trace_id, "user_id": "ann", "name": "user_feedback"})
    assert (await bench.ratings(trace_id, "ann"), len(await bench.ratings(trace_id, "bob"))) == ([], 1)
    assert bench.told[-1].source_id == "ann"


async def test_replay(bench: Bench) -> None:
    """The same key and request give the first reply, however the body is written; it is told once."""
    trace_id = await bench.trace()
    query = {"trace_id": trace_id, "user_id": "ann"}
    first = await bench.rate(KEYLESS, query, b'{"is_correct":true,"comment":"x"}', "k")
    again = await bench.rate(KEYLESS, query, b'{"comment": "x", "is_correct": true}', "k")
    assert (again, len(bench.told)) == (first, 1)


async def test_replay_of_detailed(bench: Bench) -> None:
    """A detailed rating is replayed whole, even where its scale was changed meanwhile."""
    trace_id = await bench.trace()
    first = await bench.rate_detailed(KEYLESS, {"trace_id": trace_id, "accuracy": "4"}, None, "k")
    bench.declare({"accuracy": Dimension(min=1, max=10)})
    body = json.dumps({"trace_id": trace_id, "accuracy": 4}).encode()
    assert await bench.rate_detailed(KEYLESS, {}, body, "k") == first
    assert len(bench.told) == 1


async def test_key_with_another_body(bench: Bench) -> None:
    """A key that was used with another body is refused; the first rating stays."""
    trace_id = await bench.trace()
    await bench.rate(KEYLESS, {"trace_id": trace_id}, YES, "k")
    with pytest.raises(InvalidValue) as caught:
        await bench.rate(KEYLESS, {"trace_id": trace_id}, NO, "k")
    assert caught.value.code == "idempotency_key_reused"
    with pytest.raises(InvalidValue):
        await bench.rate_detailed(KEYLESS, {"trace_id": trace_id, "accuracy": "1"}, None, "k")
    assert [item.value for item in await bench.ratings(trace_id)] == [True]


async def test_keys_of_two_raters(bench: Bench) -> None:
    """A key belongs to its rater."""
    trace_id = await bench.trace()
    for user, body in (("ann", YES), ("bob", NO)):
        await bench.rate(KEYLESS, {"trace_id": trace_id, "user_id": user}, body, "k")
    assert len(bench.told) == 2


async def test_bad_key(bench: Bench) -> None:
    """An Idempotency-Key of a wrong form stores nothing."""
    trace_id = await bench.trace()
    with pytest.raises(InvalidValue):
        await bench.rate(KEYLESS, {"trace_id": trace_id}, YES, "")
    with pytest.raises(InvalidValue):
        await bench.rate_detailed(KEYLESS, {"trace_id": trace_id, "accuracy": "1"}, None, "")
    assert await bench.ratings(trace_id) == []


@pytest.mark.parametrize("unknown", [True, False])
async def test_traces_out_of_reach(bench: Bench, unknown: bool) -> None:
    """An unknown trace, and one of another project, are not found by any method."""
    query = {"trace_id": new_trace_id() if unknown else await bench.trace()}
    caller = KEYLESS if unknown else OTHER
    with pytest.raises(NotFound):
        await bench.rate(caller, query, YES, None)
    with pytest.raises(NotFound):
        await bench.rate_detailed(caller, {**query, "accuracy": "1"}, None, None)
    with pytest.raises(NotFound):
        await bench.retract(caller, {**query, "name": "n"})
    with pytest.raises(NotFound):
        await bench.read(caller, query)
    assert bench.told == []


async def test_store_that_is_closed(bench: Bench) -> None:
    """Where nothing can be committed the error passes through, and nothing is told."""
    trace_id = await bench.trace()
    await bench.store.close()
    with pytest.raises(StoreUnavailable):
        await bench.rate(KEYLESS, {"trace_id": trace_id}, YES, None)
    assert bench.told == []
