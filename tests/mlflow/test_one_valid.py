"""A rater has one valid rating of a name on a trace, whatever order ratings, overrides, deletions, retractions and
renames come in, by /feedback and by MLflow's client.

Two machines: one over the scripts and a store's file, one over HTTP. tests/support/rating_model.py says what must be
valid after each step. CONTRIBUTING.md says how to try 50,000 examples.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.domain import ids
from gateway.domain.trace import Assessment
from gateway.mlflow.scripts.assessments import create_assessment, delete_assessment, update_assessment
from gateway.mlflow.values import AssessmentChange
from gateway.storage.engine import Params, drive
from gateway.storage.scripts.feedback import feedback_of, record_feedback, retract_feedback
from gateway.storage.scripts.traces import begin_trace
from gateway.storage.sqlite.file import connect
from gateway.storage.sqlite.writer import bind
from tests.support.examples import tried
from tests.support.http_client import call
from tests.support.mlflow_client import V3, Tracking
from tests.support.rating_model import Model, Rated
from tests.support.rows import PROJECT, a_rating, a_start, a_write

PEOPLE = st.sampled_from(["ann", "bob"])
NAMES = st.sampled_from(["a", "b"])
SOURCES = st.sampled_from([("HUMAN", "ann"), ("HUMAN", "ann"), ("HUMAN", "bob"), ("LLM_JUDGE", "ann"), ("CODE", "x")])
WHICH = st.integers(0, 30)


class Ratings(RuleBasedStateMachine):
    """Everything that may happen to the ratings of one trace. Subclasses say how it is asked for, and what is valid."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.now = 0

    def tick(self) -> int:
        self.now += 1
        return self.now

    def pick(self, which: int) -> Rated:
        return self.model.ratings[which % len(self.model.ratings)]

    @rule(who=PEOPLE, name=NAMES)
    def rate(self, who: str, name: str) -> None:
        made = self.do_rate(who, name)
        self.model.rate(Rated(made, ("HUMAN", who), name, self.now))
        assert self.valid_of(("HUMAN", who), name) == {made}

    @rule(who=PEOPLE, name=NAMES)
    def retract(self, who: str, name: str) -> None:
        assert self.do_retract(who, name) == self.model.retract(("HUMAN", who), name)
        assert self.valid_of(("HUMAN", who), name) == set()

    @rule(source=SOURCES, name=NAMES)
    def log(self, source: tuple[str, str], name: str) -> None:
        self.model.log(Rated(self.do_log(source, name, None), source, name, self.now))

    @precondition(lambda self: self.model.ratings)
    @rule(which=WHICH, source=st.none() | SOURCES, early=st.booleans())
    def override(self, which: int, source: tuple[str, str] | None, early: bool) -> None:
        old = self.pick(which)
        source = source or old.rater
        made = self.do_log(source, old.name, old.id, early=early)
        self.model.log(Rated(made, source, old.name, self.time_of(early), overrides=old))
        assert made in self.valid()

    @precondition(lambda self: self.model.ratings)
    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        gone = self.pick(which)
        self.do_delete(gone.id)
        self.model.delete(gone)

    @precondition(lambda self: self.model.ratings)
    @rule(which=WHICH, name=NAMES)
    def rename(self, which: int, name: str) -> None:
        one = self.pick(which)
        self.do_rename(one.id, name)
        self.model.rename(one, name)

    @invariant()
    def what_must_be_valid_is(self) -> None:
        valid = self.valid()
        assert valid == self.model.valid()
        places = Counter(one.place for one in self.model.ratings if one.id in valid and one.person)
        assert all(count == 1 for place, count in places.items() if place not in self.model.beside), places

    def valid_of(self, rater: tuple[str, str], name: str) -> set[str]:
        ours = {one.id for one in self.model.of(rater, name)}
        return self.valid() & ours

    def time_of(self, early: bool) -> int:
        """A client may say when it was, and be wrong."""
        return -self.now if early else self.now

    # asked for

    def do_rate(self, who: str, name: str) -> str:
        raise NotImplementedError

    def do_retract(self, who: str, name: str) -> int:
        raise NotImplementedError

    def do_log(self, source: tuple[str, str], name: str, overrides: str | None, *, early: bool = False) -> str:
        raise NotImplementedError

    def do_delete(self, rating_id: str) -> None:
        raise NotImplementedError

    def do_rename(self, rating_id: str, name: str) -> None:
        raise NotImplementedError

    def valid(self) -> set[str]:
        raise NotImplementedError


class Stored(Ratings):
    """By the scripts, in a store's file; each example is a transaction that is undone at its end."""

    connection: sqlite3.Connection

    @initialize()
    def begin(self) -> None:
        self.connection.execute("BEGIN")
        start = a_start()
        self.trace_id = start.trace_id
        drive(begin_trace(start), self.execute)

    def teardown(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def execute(self, sql: str, params: Params) -> list[sqlite3.Row]:
        return self.connection.execute(*bind(sql, params)).fetchall()

    def do_rate(self, who: str, name: str) -> str:
        write = a_write(self.trace_id, a_rating(name=name), source_id=who, now=self.tick())
        made = drive(record_feedback(write), self.execute).assessments[0]
        read = drive(feedback_of(PROJECT, [self.trace_id], who), self.execute)[self.trace_id]
        assert [one.assessment_id for one in read if one.name == name] == [made.assessment_id]
        return made.assessment_id

    def do_retract(self, who: str, name: str) -> int:
        return drive(retract_feedback(PROJECT, self.trace_id, None, who, name, self.tick()), self.execute)[1]

    def do_log(self, source: tuple[str, str], name: str, overrides: str | None, *, early: bool = False) -> str:
        self.tick()
        new = Assessment(
            assessment_id=ids.new_assessment_id(),
            trace_id=self.trace_id,
            project=PROJECT,
            name=name,
            value=True,
            source_type=source[0],  # type: ignore[arg-type]
            source_id=source[1],
            create_time=self.time_of(early),
            last_update_time=self.now,
            overrides=overrides,
        )
        return drive(create_assessment(new), self.execute).assessment_id

    def do_delete(self, rating_id: str) -> None:
        drive(delete_assessment(PROJECT, self.trace_id, rating_id), self.execute)

    def do_rename(self, rating_id: str, name: str) -> None:
        change = AssessmentChange(name=name, value=False)
        drive(update_assessment(PROJECT, self.trace_id, rating_id, change, self.tick()), self.execute)

    def valid(self) -> set[str]:
        rows = self.execute("SELECT assessment_id FROM assessments WHERE trace_id = $1 AND valid = 1", [self.trace_id])
        return {row[0] for row in rows}


def test_a_rater_has_one_valid_rating_in_the_store() -> None:
    """In a file as a server opens it."""
    with tempfile.TemporaryDirectory() as folder:
        connection = connect(Path(folder) / "gateway.db")
        try:
            machine = type("Stored", (Stored,), {"connection": connection})
            run_state_machine_as_test(machine, settings=tried(300, steps=15))
        finally:
            connection.close()


class Asked(Ratings):
    """By HTTP, as a shop's server rates and as MLflow's client speaks; read back by both."""

    tracking: Tracking

    @initialize()
    def begin(self) -> None:
        self.trace_id = self.tracking.chat()
        self.key = self.tracking.keys["admin"]

    def do_rate(self, who: str, name: str) -> str:
        self.tick()
        path = f"/feedback?trace_id={self.trace_id}&user_id={who}"
        made = call(self.tracking.gateway, "POST", path, {"name": name, "value": True}, key=self.key).json
        read = call(self.tracking.gateway, "GET", path, key=self.key).json["feedback"]
        assert [one["assessment_id"] for one in read if one["name"] == name] == [made["assessment_id"]]
        return str(made["assessment_id"])

    def do_retract(self, who: str, name: str) -> int:
        path = f"/feedback?trace_id={self.trace_id}&user_id={who}&name={name}"
        return int(call(self.tracking.gateway, "DELETE", path, key=self.key).json["retracted"])

    def do_log(self, source: tuple[str, str], name: str, overrides: str | None, *, early: bool = False) -> str:
        self.tick()
        said = {"source_type": source[0], "source_id": source[1]}
        new = {"assessment_name": name, "source": said, "feedback": {"value": True}, "valid": True}
        new |= {"overrides": overrides} if overrides else {}
        made = self.tracking.ok("POST", f"{V3}/traces/{self.trace_id}/assessments", {"assessment": new})
        return str(made["assessment"]["assessment_id"])

    def do_delete(self, rating_id: str) -> None:
        path = f"{V3}/traces/{self.trace_id}/assessments/{rating_id}"
        self.tracking.ok("DELETE", path, {"trace_id": self.trace_id, "assessment_id": rating_id})

    def do_rename(self, rating_id: str, name: str) -> None:
        said = {"assessment_id": rating_id, "trace_id": self.trace_id, "assessment_name": name}
        body = {"assessment": said, "update_mask": "assessmentName"}
        self.tracking.ok("PATCH", f"{V3}/traces/{self.trace_id}/assessments/{rating_id}", body)

    def time_of(self, early: bool) -> int:
        return self.now

    def valid(self) -> set[str]:
        found = self.tracking.info(self.trace_id).get("assessments", [])
        return {one["assessment_id"] for one in found if one["valid"]}


def test_a_rater_has_one_valid_rating_over_http(tracking: Tracking) -> None:
    """The same, of a running server."""
    machine = type("Asked", (Asked,), {"tracking": tracking})
    run_state_machine_as_test(machine, settings=tried(12, most=300, steps=12))


# What the machines found once, each by itself.


@pytest.fixture
def trace_id(tracking: Tracking) -> str:
    """A new chat's."""
    return tracking.chat()


def rate(tracking: Tracking, trace_id: str, who: str = "ann") -> str:
    path = f"/feedback?trace_id={trace_id}&user_id={who}"
    made = call(tracking.gateway, "POST", path, {"is_correct": True}, key=tracking.keys["admin"])
    return str(made.json["assessment_id"])


def log(tracking: Tracking, trace_id: str, who: str, overrides: str | None, name: str = "user_feedback") -> str:
    source = {"source_type": "HUMAN", "source_id": who}
    new: dict[str, Any] = {"assessment_name": name, "source": source, "feedback": {"value": True}}
    new |= {"overrides": overrides} if overrides else {}
    made = tracking.ok("POST", f"{V3}/traces/{trace_id}/assessments", {"assessment": new})
    return str(made["assessment"]["assessment_id"])


def delete(tracking: Tracking, trace_id: str, rating_id: str) -> None:
    tracking.ok("DELETE", f"{V3}/traces/{trace_id}/assessments/{rating_id}")


def valid(tracking: Tracking, trace_id: str) -> list[str]:
    found = tracking.info(trace_id).get("assessments", [])
    return [one["assessment_id"] for one in found if one["valid"]]


def test_a_middle_rating_is_deleted(tracking: Tracking, trace_id: str) -> None:
    """The last one stays the valid one, overrides the first from then on, and brings it back when it goes, too."""
    first, middle, last = (rate(tracking, trace_id) for _ in range(3))
    delete(tracking, trace_id, middle)
    assert valid(tracking, trace_id) == [last]
    (shown,) = [one for one in tracking.info(trace_id)["assessments"] if one["assessment_id"] == last]
    assert shown["overrides"] == first
    delete(tracking, trace_id, last)
    assert valid(tracking, trace_id) == [first]


def test_a_rating_is_overridden_twice(tracking: Tracking, trace_id: str) -> None:
    """By the same rater: the second override counts; without it, the first one does again."""
    first = rate(tracking, trace_id)
    second, third = (log(tracking, trace_id, "ann", first) for _ in range(2))
    assert valid(tracking, trace_id) == [third]
    delete(tracking, trace_id, third)
    assert valid(tracking, trace_id) == [second]


def test_a_rating_that_somebody_else_had_overridden(tracking: Tracking, trace_id: str) -> None:
    """Its rater rates again: it doesn't come back beside the new one when the override goes."""
    first = rate(tracking, trace_id)
    expert = log(tracking, trace_id, "bob", first)
    second = rate(tracking, trace_id)
    delete(tracking, trace_id, expert)
    assert valid(tracking, trace_id) == [second]


def test_a_rating_gets_the_name_of_another_one(tracking: Tracking, trace_id: str) -> None:
    """It takes that one's place, and gives it back with its new name."""
    first = rate(tracking, trace_id)
    other = log(tracking, trace_id, "ann", None, name="second")
    path = f"{V3}/traces/{trace_id}/assessments/{other}"
    for name, counts in (("user_feedback", [other]), ("third", [first, other])):
        said = {"assessment_id": other, "trace_id": trace_id, "assessment_name": name}
        tracking.ok("PATCH", path, {"assessment": said, "update_mask": "assessmentName"})
        assert sorted(valid(tracking, trace_id)) == sorted(counts)


def test_ratings_that_come_with_a_trace_override_too(tracking: Tracking) -> None:
    """MLflow's client sends those of the trace that is active within it."""
    trace_id = tracking.trace()
    first = log(tracking, trace_id, "ann", None)
    source = {"source_type": "HUMAN", "source_id": "ann"}
    new = {"assessment_name": "user_feedback", "source": source, "feedback": {"value": False}, "overrides": first}
    tracking.trace(trace_id=trace_id, assessments=[new])
    assert len(valid(tracking, trace_id)) == 1
    assert first not in valid(tracking, trace_id)
