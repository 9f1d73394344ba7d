"""Calls MLflow's client as a team would: `scenario.py TRACKING OPENAI`, answers as JSON on stdout.

A script of its own, in a process of its own, so that any release of the client can run it, against any server. It
imports nothing of the gateway's. tests/support/mlflow_answers.py makes its answers comparable.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ |= {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION": "true",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
    "OPENAI_API_KEY": "unused",
    "GIT_PYTHON_REFRESH": "quiet",
}

import mlflow
from mlflow import MlflowClient
from mlflow.entities import AssessmentError, AssessmentSource, Expectation, Feedback

Answers = list[tuple[str, Any]]
NO_TRACE = "tr-" + "0" * 32
MANY = 1_200
ANN = AssessmentSource(source_type="HUMAN", source_id="ann")
JUDGE = AssessmentSource(source_type="LLM_JUDGE", source_id="judge-1")
CODE = AssessmentSource(source_type="CODE", source_id="check.py")


class Team:
    """The client, one experiment, and what was answered so far."""

    def __init__(self, tracking: str, openai_url: str) -> None:
        self.answers: Answers = []
        self.tracking, self.openai_url = tracking, openai_url
        mlflow.set_tracking_uri(tracking)
        self.client = MlflowClient()
        self.experiment = mlflow.set_experiment("team").experiment_id

    def say(self, step: str, value: Any) -> None:
        self.answers.append((step, value))

    def ask(self, step: str, call: Callable[[], Any]) -> Any:
        """The answer of a call, or the code of its error."""
        try:
            value = call()
        except mlflow.MlflowException as error:
            self.say(step, {"error": error.error_code})
            return None
        self.say(step, plain_of(value))
        return value


def plain_of(value: Any) -> Any:
    """An entity as plain values."""
    if isinstance(value, list | tuple):
        return [plain_of(each) for each in value]
    for name in ("to_dict", "to_dictionary"):
        if hasattr(value, name):
            return getattr(value, name)()
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return {key.strip("_"): plain_of(each) for key, each in vars(value).items()}
    return value


# ------------------------------------------------------------------ the app


@mlflow.trace(span_type="TOOL", attributes={"k1": "v1", "n": 3, "nested": {"a": [1, None]}})
def look_up(word: str) -> dict[str, Any]:
    return {"word": word, "score": 0.5, "list": [1, "zwei", None, True]}


@mlflow.trace
def answer(question: str) -> dict[str, Any]:
    mlflow.update_current_trace(
        tags={"env": "prod"},
        metadata={"release": "1.2"},
        session_id="session-1",
        user="bob",
        client_request_id="order-7",
    )
    return look_up(question)


@mlflow.trace(name="broken")
def broken(question: str) -> None:
    raise ValueError(f"no answer to {question}")


def trace_an_app(team: Team) -> tuple[str, str]:
    """Traces of an app, good and bad; the first one's ID and its root span's."""
    answer("Größe 🎉?")
    good = mlflow.get_last_active_trace_id()
    trace = team.ask("get_trace", lambda: mlflow.get_trace(good))
    try:
        broken("why")
    except ValueError:
        bad = mlflow.get_last_active_trace_id()
        team.ask("get_trace of an error", lambda: mlflow.get_trace(bad).to_dict()["info"])
    team.ask("get_trace of none", lambda: mlflow.get_trace(NO_TRACE))
    return good, trace.data.spans[0].span_id


def autolog(team: Team) -> None:
    """An OpenAI client that traces itself, streamed and not."""
    import openai

    mlflow.openai.autolog()
    with openai.OpenAI(base_url=team.openai_url, api_key="unused", max_retries=0) as client:
        for stream in (False, True):
            reply = client.chat.completions.create(
                model="fast", messages=[{"role": "user", "content": "hello"}], stream=stream
            )
            if stream:
                list(reply)
            trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
            (span,) = trace.data.spans
            team.say(
                f"autolog, stream={stream}",
                {
                    "name": span.name,
                    "inputs": span.inputs,
                    "type": span.span_type,
                    "state": str(trace.info.state),
                    "usage": trace.info.token_usage,
                    "said": reply.choices[0].message.content if not stream else len(span.events) > 1,
                },
            )
    mlflow.openai.autolog(disable=True)


# ------------------------------------------------------------------ ratings


def rate(team: Team, trace_id: str, span_id: str) -> None:
    """Every kind of value, from every kind of source; then changes."""
    values: dict[str, Any] = {
        "int": 4,
        "float": 0.25,
        "yes": True,
        "no": False,
        "words": "gut 👍",
        "list": ["a", "b"],
        "dict": {"deep": {"list": [1, 2.5, None]}},
    }
    for (name, value), source in zip(values.items(), [ANN, JUDGE, CODE] * 3, strict=False):
        team.ask(
            f"log_feedback {name}",
            lambda n=name, v=value, s=source: mlflow.log_feedback(
                trace_id=trace_id, name=n, value=v, source=s, rationale=f"because {n}", metadata={"weight": 1.5}
            ),
        )
    error = AssessmentError(error_code="TIMEOUT", error_message="the judge slept", stack_trace="line 1")
    team.ask(
        "log_feedback error",
        lambda: mlflow.log_feedback(trace_id=trace_id, name="failed", error=error, source=JUDGE),
    )
    team.ask("log_feedback default source", lambda: mlflow.log_feedback(trace_id=trace_id, name="plain", value=1.0))
    on_span = team.ask(
        "log_feedback on a span",
        lambda: mlflow.log_feedback(trace_id=trace_id, name="thumb", value=True, span_id=span_id, source=ANN),
    )
    for name, value in (("capital", "Paris"), ("facts", {"a": {"b": [1, {"c": None}]}}), ("steps", ["x", 1, True])):
        team.ask(
            f"log_expectation {name}",
            lambda n=name, v=value: mlflow.log_expectation(trace_id=trace_id, name=n, value=v, source=ANN),
        )
    change(team, trace_id, on_span.assessment_id)
    team.ask("assessments after all", lambda: mlflow.get_trace(trace_id).info.assessments)


def change(team: Team, trace_id: str, thumb: str) -> None:
    """Update, override, delete, restore, and what can't be done."""

    def get(which: str) -> Callable[[], Any]:
        return lambda: mlflow.get_assessment(trace_id, which)

    team.ask("get_assessment", get(thumb))
    new = Feedback(name="thumb", value=False, rationale="not so good", metadata={"second": "look"})
    team.ask("update_assessment", lambda: mlflow.update_assessment(trace_id, thumb, new))
    team.ask("update adds metadata", lambda: mlflow.update_assessment(trace_id, thumb, Feedback(metadata={"x": "y"})))
    override = team.ask(
        "override_feedback",
        lambda: mlflow.override_feedback(trace_id=trace_id, assessment_id=thumb, value=True, rationale="on reflection"),
    )
    team.ask("overridden", get(thumb))
    team.ask("delete the override", lambda: mlflow.delete_assessment(trace_id, override.assessment_id))
    team.ask("restored", get(thumb))
    team.ask("get a deleted one", get(override.assessment_id))
    team.ask("delete it again", lambda: mlflow.delete_assessment(trace_id, override.assessment_id))
    fact = mlflow.log_expectation(trace_id=trace_id, name="moving", value="old", source=ANN)
    team.ask(
        "update an expectation",
        lambda: mlflow.update_assessment(trace_id, fact.assessment_id, Expectation(name="moving", value={"now": 2})),
    )
    team.ask("rate no trace", lambda: mlflow.log_feedback(trace_id=NO_TRACE, name="x", value=1))
    team.ask(
        "override nothing",
        lambda: mlflow.override_feedback(trace_id=trace_id, assessment_id="a-" + "0" * 32, value=1),
    )


# ------------------------------------------------------------------ search

FILTERS = (
    "status = 'OK'",
    "status = 'ERROR'",
    "trace.status IN ('ERROR', 'OK')",
    "timestamp_ms > 0 AND timestamp_ms < 99999999999999",
    "timestamp > 99999999999999",
    "execution_time_ms < 0",
    "end_time_ms > 0",
    "name = 'answer'",
    "name LIKE '%rok%'",
    "name ILIKE 'ANSWER'",
    "name LIKE 'ANSWER'",
    "name RLIKE '^ans'",
    "client_request_id = 'order-7'",
    "tags.env = 'prod'",
    "tags.env != 'prod'",
    "tags.env IS NULL",
    "tags.`env` IS NOT NULL",
    "tag.env LIKE 'pr%'",
    "metadata.release = '1.2'",
    "request_metadata.`mlflow.trace.session` = 'session-1'",
    "metadata.`mlflow.trace.user` = 'bob'",
    "metadata.release = '1.2' AND status = 'ERROR'",
    "feedback.yes = 'true'",
    "feedback.no = 'true'",
    "feedback.int > 3",
    "feedback.int >= 4.5",
    "feedback.int = '4'",
    "feedback.words LIKE '%gut%'",
    "feedback.thumb IS NULL",
    "feedback.thumb IS NOT NULL",
    "expectation.capital = 'Paris'",
    "expectation.capital != 'Paris'",
    "span.name = 'look_up'",
    "span.type = 'TOOL' AND span.status = 'OK'",
    "span.type = 'TOOL' AND span.name = 'answer'",
    "span.attributes.k1 LIKE '%v1%'",
    "span.attributes.k1 LIKE '%v2%'",
    "span.content LIKE '%zwei%'",
    "span.content LIKE '%string_value%'",
    "trace.text LIKE '%Größe%'",
    "trace.text ILIKE '%GRÖSSE%'",
)
REFUSED = (
    "status = 'OK' OR status = 'ERROR'",
    "foo.bar = 'x'",
    "trace_id = 'x'",
    "feedback.x = true",
    "feedback.x = 4",
    "tags.x > 3",
    "status = OK",
    "'a' = 'b'",
    "name IN ('a')",
    "feedback.x > 'a'",
    "status LIKE",
    "span.color = 'red'",
    "span.content = 'x'",
    "timestamp_ms IN ('1')",
)
ORDERS = ("timestamp_ms ASC", "timestamp_ms DESC", "name ASC", "status DESC", "tags.env ASC", "metadata.release DESC")


def search(team: Team) -> None:
    """Filters, orders, pages, sessions."""

    def names(**options: Any) -> list[str]:
        found = mlflow.search_traces(return_type="list", include_spans=False, **options)
        return [trace.info.tags["mlflow.traceName"] for trace in found]

    for text in FILTERS:
        team.ask(f"search {text}", lambda t=text: sorted(names(filter_string=t)))
    for text in REFUSED:
        team.ask(f"refused {text}", lambda t=text: names(filter_string=t))
    for order in ORDERS:
        team.ask(f"order by {order}", lambda o=order: names(order_by=[o]))
    team.ask("order by duration", lambda: _in_order(mlflow.search_traces(order_by=["execution_time_ms DESC"])))
    team.ask("order by name", lambda: names(order_by=["name DESC"], filter_string="name != 'Completions'"))
    team.ask("order by nonsense", lambda: names(order_by=["feedback.int"]))
    frame = mlflow.search_traces(filter_string="name = 'answer'")
    team.say("columns", sorted(frame.columns))
    row = frame.iloc[0]
    team.say(
        "row", {key: row[key] for key in ("state", "request", "response", "tags", "trace_metadata", "assessments")}
    )
    team.ask("sessions", lambda: [[t.info.tags["mlflow.traceName"] for t in s] for s in _sessions(team)])
    team.ask("of another experiment", lambda: len(mlflow.search_traces(locations=["4711"], return_type="list")))


def _in_order(frame: Any) -> bool:
    times = list(frame["execution_duration"])
    return len(times) > 3 and times == sorted(times, reverse=True)


def _sessions(team: Team) -> Any:
    return mlflow.search_sessions(locations=[team.experiment])


def pages(team: Team) -> None:
    """Every trace of many comes once."""
    import requests

    experiment = mlflow.set_experiment("many").experiment_id
    begin = time.time_ns() - MANY * 1_000_000
    for first in range(0, MANY, 300):
        spans = [
            {
                "traceId": f"{number:032x}",
                "spanId": f"{number:016x}",
                "name": f"many {number:04}",
                "startTimeUnixNano": str(begin + number * 1_000_000),
                "endTimeUnixNano": str(begin + number * 1_000_000 + 5_000_000),
                "status": {"code": 1},
            }
            for number in range(first + 1, first + 301)
        ]
        reply = requests.post(
            f"{team.tracking}/v1/traces",
            json={"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]},
            headers={"x-mlflow-experiment-id": experiment},
            timeout=30,
        )
        reply.raise_for_status()
    found = mlflow.search_traces(return_type="list", include_spans=False, max_results=MANY + 100)
    numbers = [int(trace.info.trace_id[3:], 16) for trace in found]
    team.say("pages", {"traces": len(numbers), "different": len(set(numbers)), "ends": [numbers[0], numbers[-1]]})
    ordered = mlflow.search_traces(
        return_type="list", include_spans=False, max_results=700, order_by=["execution_time_ms ASC", "timestamp_ms ASC"]
    )
    team.say("ordered pages", [int(ordered[at].info.trace_id[3:], 16) for at in (0, 99, 100, 699)])
    two = team.client.search_traces(locations=[experiment], max_results=2)
    team.say("page of two", [len(two), two.token is not None])
    one = mlflow.get_trace(f"tr-{5:032x}")
    team.say("a trace by OTLP alone", {"state": str(one.info.state), "spans": [span.name for span in one.data.spans]})
    deleted = team.client.delete_traces(experiment, max_timestamp_millis=int(time.time() * 1000) + 1000, max_traces=200)
    team.say("delete by time", deleted)
    team.say("delete by id", team.client.delete_traces(experiment, trace_ids=[f"tr-{MANY:032x}", NO_TRACE]))
    team.say("left", len(mlflow.search_traces(return_type="list", include_spans=False, max_results=2 * MANY)))
    mlflow.set_experiment("team")


def tags(team: Team, trace_id: str) -> None:
    """Set, delete, and what isn't there."""
    client = team.client
    team.ask("set_trace_tag", lambda: client.set_trace_tag(trace_id, "reviewed", "yes"))
    team.ask("tags", lambda: client.get_trace(trace_id).info.tags)
    team.ask("delete_trace_tag", lambda: client.delete_trace_tag(trace_id, "reviewed"))
    team.ask("delete the tag again", lambda: client.delete_trace_tag(trace_id, "reviewed"))
    team.ask("tag no trace", lambda: client.set_trace_tag(NO_TRACE, "a", "b"))
    team.ask("no experiment", lambda: client.get_experiment("4711"))
    team.ask("experiment twice", lambda: client.create_experiment("team"))
    team.ask("experiment by name", lambda: client.get_experiment_by_name("nobody's"))
    team.ask("experiments", lambda: sorted(each.name for each in client.search_experiments()))
    team.ask("no run", lambda: client.get_run("0" * 32))


# ------------------------------------------------------------------ datasets and evaluation


def datasets(team: Team) -> None:
    """Records by hand and from traces."""
    from mlflow.genai import datasets as api

    made = api.create_dataset(name="cases", experiment_id=[team.experiment], tags={"stage": "draft"})
    made.merge_records(
        [
            {"inputs": {"x": "hello"}, "expectations": {"expected": "HELLO"}, "tags": {"t": "1"}},
            {"inputs": {"x": "bye"}},
        ]
    )
    made.merge_records([{"inputs": {"x": "bye"}, "expectations": {"expected": "Bye"}}])
    made.merge_records(mlflow.search_traces(filter_string="name = 'answer'", return_type="list"))
    found = api.get_dataset(name="cases")
    team.say("dataset", {"schema": json.loads(found.schema), "profile": json.loads(found.profile), "tags": found.tags})
    records = found.to_df().to_dict("records")
    team.say("records", sorted(_records(records), key=lambda record: str(record["inputs"])))
    team.say("search_datasets", [each.name for each in api.search_datasets(experiment_ids=[team.experiment])])
    team.say("search by name", [each.name for each in api.search_datasets(filter_string="name LIKE 'cas%'")])
    team.say("search by tag", [each.name for each in api.search_datasets(filter_string="tags.stage = 'other'")])
    team.ask("search nonsense", lambda: api.search_datasets(filter_string="color = 'red'"))
    api.set_dataset_tags(dataset_id=made.dataset_id, tags={"stage": "final", "more": "1"})
    api.delete_dataset_tag(dataset_id=made.dataset_id, key="more")
    team.say("tags of a dataset", api.get_dataset(dataset_id=made.dataset_id).tags)
    team.say("delete_records", made.delete_records([records[0]["dataset_record_id"]]))
    api.delete_dataset(dataset_id=made.dataset_id)
    team.ask("deleted", lambda: api.get_dataset(dataset_id=made.dataset_id))


def _records(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = ("inputs", "outputs", "expectations", "tags", "source_type", "source_id")
    return [{key: each for key in kept if (each := record.get(key)) == each} for record in records]  # NaN: not there


def evaluate(team: Team) -> None:
    """A custom scorer over a dataset, and over traces."""
    from mlflow.genai import scorer
    from mlflow.genai.datasets import create_dataset

    @scorer
    def exact(outputs: Any, expectations: dict[str, Any]) -> bool:
        return bool(outputs == expectations.get("expected"))

    @scorer
    def has_output(outputs: Any) -> Feedback:
        return Feedback(value=outputs is not None, rationale="looked", metadata={"scorer": "has_output"})

    @mlflow.trace
    def shout(x: str) -> str:
        return x.upper()

    cases = create_dataset(name="evaluated", experiment_id=[team.experiment])
    cases.merge_records(
        [
            {"inputs": {"x": "hello"}, "expectations": {"expected": "HELLO"}},
            {"inputs": {"x": "bye"}, "expectations": {"expected": "no"}},
        ]
    )
    over_cases = mlflow.genai.evaluate(data=cases, predict_fn=shout, scorers=[exact])
    team.say("evaluate a dataset", {key: float(value) for key, value in over_cases.metrics.items()})
    found = mlflow.search_traces(run_id=over_cases.run_id, return_type="list")
    rated = [[(a.name, a.value, a.source.source_type) for a in trace.info.assessments] for trace in found]
    team.say("traces of the run", sorted(sorted(map(str, each)) for each in rated))
    data = mlflow.search_traces(filter_string="name = 'answer'")
    over_traces = mlflow.genai.evaluate(data=data, scorers=[has_output])
    team.say("evaluate traces", {key: float(value) for key, value in over_traces.metrics.items()})
    linked = mlflow.search_traces(run_id=over_traces.run_id, return_type="list")
    team.say("linked traces", [trace.info.tags["mlflow.traceName"] for trace in linked])
    run = team.client.get_run(over_traces.run_id)
    team.say(
        "run",
        {
            "status": run.info.status,
            "metrics": run.data.metrics,
            "type": run.data.tags.get("mlflow.runType"),
            "inputs": [given.dataset.source_type for given in run.inputs.dataset_inputs],
        },
    )
    team.say("runs", len(team.client.search_runs([team.experiment])))


def main(tracking: str, openai_url: str) -> None:
    team = Team(tracking, openai_url)
    trace_id, span_id = trace_an_app(team)
    autolog(team)
    rate(team, trace_id, span_id)
    search(team)
    tags(team, trace_id)
    pages(team)
    datasets(team)
    evaluate(team)
    print("\n" + json.dumps({"version": mlflow.__version__, "answers": team.answers}, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
