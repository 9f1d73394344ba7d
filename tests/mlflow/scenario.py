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
from mlflow.entities import (
    AssessmentError,
    AssessmentSource,
    Dataset,
    DatasetInput,
    Expectation,
    Feedback,
    InputTag,
    ViewType,
)

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


def runs(team: Team) -> None:
    """A sweep: parameters, metrics with their history, inputs; found by filters, in orders, page by page."""
    client = team.client
    sweep = client.create_experiment("sweep")
    made = []
    for n, (rate, loss, kind) in enumerate(((0.1, 0.9, "base"), (0.01, 0.5, "deep"), (0.001, 0.7, "deep"))):
        run = client.create_run(sweep, start_time=1_000 + n, run_name=f"run {n}", tags={"kind": kind, "n": str(n)})
        made.append(run.info.run_id)
        client.log_param(made[n], "rate", rate)
        for step in range(3):
            client.log_metric(made[n], "loss", loss / (step + 1), timestamp=5_000 + step, step=step)
        client.set_terminated(made[n], status="FINISHED" if n else "FAILED", end_time=9_000 + n)
    client.log_param(made[1], "extra", "yes")
    client.log_metric(made[0], "val loss", float("nan"), timestamp=1, step=0)
    client.log_metric(made[1], "val loss", float("inf"), timestamp=1, step=0)
    used = Dataset(name="cases", digest="abc1", source_type="local", source="{}")
    client.log_inputs(made[2], [DatasetInput(used, tags=[InputTag("mlflow.data.context", "training")])])

    def names(text: str = "", order: list[str] | None = None, **options: Any) -> list[str]:
        found = client.search_runs([sweep], text, order_by=order, **options)
        return [run.info.run_name for run in found]

    for text in (
        "metrics.loss < 0.25", "metrics.loss >= 0.23", "metric.loss != 0.3", "metrics.`val loss` > 5",
        "metrics.loss < 3e-1 AND params.rate = '0.01'", "params.rate LIKE '0.0%'", "params.rate ILIKE '0.0%'",
        "params.rate != '0.1'", "params.extra IS NULL", "params.extra IS NOT NULL", "tags.kind = 'deep'",
        "tag.kind = 'deep' and tags.n = '2'", "tags.`kind` LIKE 'b%'", "tags.none IS NULL", "status = 'FAILED'",
        "attributes.status != 'FAILED'", "attributes.run_name = 'run 1'", "run_name LIKE 'run%'",
        "attributes.start_time > 1000", "attribute.start_time <= 1000", "end_time = 9001", "created > 1001",
        "dataset.name = 'cases'", "datasets.digest LIKE 'abc%'", "dataset.context = 'training'",
        "dataset.context = 'eval'", "dataset.name IN ('cases', 'others')", "dataset.name = 'no' AND tags.n = '2'",
        "metrics.loss > 'a'", "params.rate > '1'", "attributes.nothing = 'a'", "params.rate = 0.1", "model.x = 'a'",
        "tags.kind = 'deep' OR tags.n = '1'", "metrics.loss", "status IN ('FAILED')", "dataset.other = 'a'",
    ):  # fmt: skip
        team.ask(f"runs where {text}", lambda text=text: names(text))
    listed = ", ".join(f"'{run}'" for run in made[:2])
    team.say("runs by ID", names(f"attributes.run_id IN ({listed})"))
    for order in (
        ["metrics.loss"], ["metrics.loss DESC"], ["metrics.`val loss` ASC"], ["metrics.`val loss` DESC"],
        ["params.rate"], ["params.extra"], ["params.extra DESC"], ["tags.kind DESC", "start_time ASC"], ["tags.kind"],
        ["attributes.run_name DESC"], ["end_time"], ["status", "run_name DESC"], ["created ASC"], ["nothing"],
        ["dataset.name"],
    ):  # fmt: skip
        team.ask(f"runs by {order}", lambda order=order: names(order=order))
    first = client.search_runs([sweep], max_results=2)
    rest = client.search_runs([sweep], max_results=2, page_token=first.token)
    team.say("a page of runs", [[run.info.run_name for run in page] for page in (first, rest)] + [rest.token is None])
    exact = client.search_runs([sweep], max_results=3)
    team.say("a page with all runs", [len(exact), exact.token is None])

    for value, time_ms, step in ((0.4, 5_001, 1), (0.2, 6_000, 1), (0.6, 4_000, 9), (0.45, 5_001, 1)):
        client.log_metric(made[0], "loss", value, timestamp=time_ms, step=step)
    client.log_metric(made[0], "loss", 0.6, timestamp=4_000, step=9)
    history = client.get_metric_history(made[0], "loss")
    team.say("metric history", [[one.key, one.value, one.step] for one in history])
    team.say("the latest value", client.get_run(made[0]).data.metrics["loss"])
    team.say("no history", client.get_metric_history(made[0], "nothing"))
    team.ask("history of no run", lambda: client.get_metric_history("0" * 32, "loss"))
    odd = [str(one.value) for run in made[:2] for one in client.get_metric_history(run, "val loss")]
    team.say("history of odd values", odd)

    client.set_tag(made[2], "mlflow.runName", "renamed")
    team.say("a run's name by its tag", client.get_run(made[2]).info.run_name == "renamed")
    client.delete_run(made[1])
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
        team.say(f"runs in view {view}", names(run_view_type=view))
    team.ask("log to a deleted run", lambda: client.log_metric(made[1], "loss", 1.0))
    team.ask("tag a deleted run", lambda: client.set_tag(made[1], "a", "b"))
    team.ask("rename a deleted run", lambda: client.update_run(made[1], name="x"))
    client.restore_run(made[1])
    team.say("restored runs", names())


def experiments(team: Team) -> None:
    """Found by filters and in orders; renamed, tagged, deleted and restored with their runs."""
    client = team.client
    made = {name: client.create_experiment(name, tags=tags) for name, tags in (
        ("alpha", {"team": "nlp", "stage": "live"}), ("beta", {"team": "nlp"}), ("Gamma", {"team": "vision"}),
    )}  # fmt: skip
    ours = set(made)

    def names(text: str = "", order: list[str] | None = None, **options: Any) -> list[str]:
        found = client.search_experiments(filter_string=text, order_by=order, **options)
        return [one.name for one in found if one.name in ours]

    for text in (
        "name = 'alpha'", "name != 'alpha'", "name LIKE '%a'", "name ILIKE 'g%'", "attribute.name LIKE 'b%'",
        "tags.team = 'nlp'", "tag.team != 'nlp'", "tags.stage IS NULL", "tags.stage IS NOT NULL",
        "tags.team = 'nlp' AND name LIKE 'b%'", "tags.`team` ILIKE 'NL%'", "creation_time > 0", "creation_time < 5",
        "last_update_time >= 1", "name IN ('alpha')", "name > 'a'", "creation_time = 'a'", "nothing = 'a'",
        "metrics.a = 1", "name = 'alpha' OR name = 'beta'",
    ):  # fmt: skip
        team.ask(f"experiments where {text}", lambda text=text: sorted(names(text)))
    team.say("experiment by ID", names(f"experiment_id = '{made['beta']}'"))
    for order in (["name"], ["name DESC"], ["experiment_id"], ["experiment_id DESC"], ["nothing"], ["tags.team"]):
        team.ask(f"experiments by {order}", lambda order=order: names(order=order))
    page = client.search_experiments(filter_string="tags.team = 'nlp'", order_by=["name"], max_results=1)
    rest = client.search_experiments(
        filter_string="tags.team = 'nlp'", order_by=["name"], max_results=1, page_token=page.token
    )
    team.say("a page of experiments", [[one.name for one in each] for each in (page, rest)] + [rest.token is None])

    run = client.create_run(made["alpha"])
    client.rename_experiment(made["alpha"], "alpha two")
    team.say("renamed", client.get_experiment(made["alpha"]).name)
    team.ask("the old name", lambda: client.get_experiment_by_name("alpha") is None)
    client.set_experiment_tag(made["beta"], "extra", "1")
    client.delete_experiment_tag(made["beta"], "extra")
    team.say("tags of an experiment", client.get_experiment(made["beta"]).tags)
    client.delete_experiment(made["alpha"])
    team.say("deleted experiment", client.get_experiment(made["alpha"]).lifecycle_stage)
    ours.add("alpha two")
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL):
        team.say(f"experiments in view {view}", sorted(names(view_type=view)))
    team.say("its run", client.get_run(run.info.run_id).info.lifecycle_stage)
    for step, call in (
        ("delete again", lambda: client.delete_experiment(made["alpha"])),
        ("restore what is there", lambda: client.restore_experiment(made["beta"])),
        ("rename a deleted one", lambda: client.rename_experiment(made["alpha"], "x")),
        ("tag a deleted one", lambda: client.set_experiment_tag(made["alpha"], "a", "b")),
        ("a run in a deleted one", lambda: client.create_run(made["alpha"])),
        ("take a deleted one's name", lambda: client.create_experiment("alpha two")),
        ("set a deleted one", lambda: mlflow.set_experiment("alpha two")),
        ("delete none", lambda: client.delete_experiment("99999")),
    ):
        team.ask(step, call)
    client.restore_experiment(made["alpha"])
    team.say("restored experiment", client.get_experiment(made["alpha"]).lifecycle_stage)
    team.say("its restored run", client.get_run(run.info.run_id).info.lifecycle_stage)
    mlflow.set_experiment("team")


def moves(team: Team) -> None:
    """A dataset moves between experiments; its records come in the order in which they were added."""
    from mlflow.genai import datasets as api

    first, second = (team.client.create_experiment(name) for name in ("from", "to"))
    made = api.create_dataset(name="moving", experiment_id=[first])
    other = api.create_dataset(name="staying", experiment_id=[first])

    def within(*ids: str) -> list[str]:
        return [each.name for each in api.search_datasets(experiment_ids=list(ids), order_by=["name"])]

    added = api.add_dataset_to_experiments(dataset_id=made.dataset_id, experiment_ids=[second, first])
    team.say("added", len(added.experiment_ids))
    team.say("datasets within", [within(first), within(second), within(first, second)])
    left = api.remove_dataset_from_experiments(dataset_id=made.dataset_id, experiment_ids=[first])
    team.say("removed", [len(left.experiment_ids), within(first), within(second)])
    api.remove_dataset_from_experiments(dataset_id=made.dataset_id, experiment_ids=[first])
    team.say("changed by it", left.last_update_time >= made.last_update_time)
    no_set, no_place = "d-" + "0" * 32, "99999"
    team.ask("add no dataset", lambda: api.add_dataset_to_experiments(dataset_id=no_set, experiment_ids=[first]))
    team.ask("add to nowhere", lambda: api.add_dataset_to_experiments(made.dataset_id, [no_place]))
    team.ask("remove no dataset", lambda: api.remove_dataset_from_experiments(no_set, [first]))
    for word in ("one", "two", "three", "two"):
        other.merge_records([{"inputs": {"word": word}, "expectations": {"last": word}}])
        time.sleep(0.005)
    team.say("records in order", [each["inputs"]["word"] for each in other.to_df().to_dict("records")])


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
    runs(team)
    experiments(team)
    moves(team)
    print("\n" + json.dumps({"version": mlflow.__version__, "answers": team.answers}, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
