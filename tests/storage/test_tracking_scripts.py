"""Scripts over runs, experiments, datasets and assessments, on each engine: what MLflow's users ask of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.domain.search import Clause, Order
from gateway.errors import Conflict, InvalidValue, NotFound
from gateway.mlflow.scripts import datasets, experiments, runs
from gateway.mlflow.scripts.assessments import delete_assessment
from gateway.mlflow.values import Dataset, Experiment, NewRecord, Run, RunQuery, RunValue
from gateway.storage.engine import Engine
from gateway.storage.scripts.feedback import feedback_of, record_feedback
from gateway.storage.scripts.traces import begin_trace
from tests.support.rows import PROJECT, a_start, a_write


async def a_run(engine: Engine, number: int, *values: RunValue, experiment_id: str = "0") -> str:
    """A run with values, whose number says when it started."""
    run = Run(
        run_id=f"{number:032x}", project=PROJECT, experiment_id=experiment_id, name=f"run {number}", user_id="",
        start_time=number,
    )  # fmt: skip
    await engine.write(runs.create_run, run, ())
    await engine.write(runs.log_values, PROJECT, run.run_id, values)
    return run.run_id


def metric(value: str, *, step: int = 0, time: int = 0) -> RunValue:
    return RunValue(kind="metric", key="loss", value=value, step=step, time=time)


async def found(
    engine: Engine, *clauses: Clause, orders: tuple[Order, ...] = (), stages: tuple[str, ...] = ("active",)
) -> list[str]:
    query = RunQuery(project=PROJECT, experiment_ids=("0", "1"), stages=stages, clauses=clauses, orders=orders)
    return [each.info.name for each in (await engine.read(runs.search_runs, query, None))[0]]


async def test_runs_are_found_by_numbers(engine: Engine) -> None:
    """Not by their text: infinity is the largest, what is no number matches nothing and comes last."""
    for number, value in enumerate(("10.0", "9.5", "1e-05", "inf", "nan")):
        await a_run(engine, number, metric(value))
    await a_run(engine, 9)
    assert await found(engine, Clause("metric", "loss", ">", 9)) == ["run 3", "run 1", "run 0"]
    assert await found(engine, Clause("metric", "loss", "<", 0.001)) == ["run 2"]
    up = await found(engine, orders=(Order("metric", "loss", True),))
    assert up == ["run 2", "run 1", "run 0", "run 3", "run 4", "run 9"]
    down = await found(engine, orders=(Order("metric", "loss", False),))
    assert down == ["run 3", "run 0", "run 1", "run 2", "run 4", "run 9"]


async def test_runs_are_found_by_texts(engine: Engine) -> None:
    """Parameters, tags and attributes; a run without the key matches nothing but IS NULL."""
    await a_run(engine, 1, RunValue(kind="param", key="lr", value="0.1"), RunValue(kind="tag", key="t", value="X"))
    await a_run(engine, 2, RunValue(kind="param", key="lr", value="0.01"))
    await a_run(engine, 3)
    assert await found(engine, Clause("param", "lr", "!=", "0.1")) == ["run 2"]
    assert await found(engine, Clause("param", "lr", "LIKE", "0.0%")) == ["run 2"]
    assert await found(engine, Clause("tag", "t", "IS NULL", None)) == ["run 3", "run 2"]
    assert await found(engine, Clause("tag", "t", "ILIKE", "x")) == ["run 1"]
    assert await found(engine, Clause("attribute", "run_name", "=", "run 2")) == ["run 2"]
    uri = f"mlflow-artifacts:/0/{1:032x}/artifacts"
    assert await found(engine, Clause("attribute", "artifact_uri", "=", uri)) == ["run 1"]
    order = (Order("param", "lr", False), Order("attribute", "start_time", True))
    assert await found(engine, orders=order) == ["run 1", "run 2", "run 3"]


async def test_runs_come_page_by_page(engine: Engine) -> None:
    """Also where it takes their inputs to tell which ones are meant."""
    for number in range(5):
        await a_run(engine, number, RunValue(kind="input", key="a@1", value=str(number % 2)))

    def odd(inputs: Sequence[RunValue]) -> bool:
        return inputs[0].value == "1"

    for keep, pages in ((None, [["run 4", "run 3"], ["run 2", "run 1"], ["run 0"]]), (odd, [["run 3", "run 1"]])):
        for at, expected in enumerate(pages):
            query = RunQuery(project=PROJECT, experiment_ids=("0",), stages=("active",), limit=2, offset=2 * at)
            page, more = await engine.read(runs.search_runs, query, keep)
            assert [each.info.name for each in page] == expected
            assert more is (at < len(pages) - 1)
    nothing = RunQuery(project=PROJECT, experiment_ids=(), stages=("active",))
    assert await engine.read(runs.search_runs, nothing, None) == ([], False)


async def test_a_metric_has_a_history(engine: Engine) -> None:
    """By time, step and value, each once; the run shows the one of the last step, time and value."""
    run_id = await a_run(engine, 1, metric("0.5", step=1, time=10), metric("0.4", step=2, time=20))
    late = (metric("0.9", step=1, time=30), metric("0.4", step=2, time=20), metric("9.0", step=2, time=5))
    await engine.write(runs.log_values, PROJECT, run_id, late)
    history = await engine.read(runs.metric_history, PROJECT, run_id, "loss", 10, 0)
    assert [(each.time, each.step, each.value) for each in history] == [
        (5, 2, "9.0"), (10, 1, "0.5"), (20, 2, "0.4"), (30, 1, "0.9"),
    ]  # fmt: skip
    assert len(await engine.read(runs.metric_history, PROJECT, run_id, "loss", 1, 1)) == 2
    (latest,) = (await engine.read(runs.get_run, PROJECT, run_id)).values
    assert (latest.value, latest.step) == ("0.4", 2)
    assert await engine.read(runs.metric_history, "other", run_id, "loss", 10, 0) == []


async def test_a_history_is_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of one metric's, too, which replace each other in the run."""
    monkeypatch.setattr(runs, "MAX_HISTORY", 3)
    run_id = await a_run(engine, 1, metric("1.0", step=1), metric("2.0", step=2), metric("3.0", step=3))
    with pytest.raises(InvalidValue):
        await engine.write(runs.log_values, PROJECT, run_id, (metric("4.0", step=4),))


async def test_a_deleted_run_takes_nothing(engine: Engine) -> None:
    """Until it is restored; its name follows its tag."""
    run_id = await a_run(engine, 1)
    await engine.write(runs.log_values, PROJECT, run_id, (RunValue(kind="tag", key="mlflow.runName", value="new"),))
    assert await found(engine) == ["new"]
    await engine.write(runs.set_stage, PROJECT, run_id, "deleted")
    assert (await found(engine), await found(engine, stages=("deleted",))) == ([], ["new"])
    for change in (
        engine.write(runs.log_values, PROJECT, run_id, (metric("1.0"),)),
        engine.write(runs.update_run, PROJECT, run_id, "x", None, None),
        engine.write(runs.delete_tag, PROJECT, run_id, "mlflow.runName"),
    ):
        with pytest.raises(InvalidValue):
            await change
    await engine.write(runs.set_stage, PROJECT, run_id, "active")
    assert await found(engine) == ["new"]


async def test_an_experiment_is_deleted_and_restored_with_its_runs(engine: Engine) -> None:
    """It keeps its name meanwhile, and takes nothing; the first one can't be deleted."""
    made = await engine.write(experiments.create_experiment, PROJECT, "one", {}, 5)
    await a_run(engine, 1, experiment_id=made)
    await engine.write(experiments.set_experiment_stage, PROJECT, made, "deleted", 6)
    assert await found(engine) == []
    assert (await engine.read(experiments.get_experiment, PROJECT, made)).lifecycle_stage == "deleted"
    for error, change in (
        (NotFound, engine.write(experiments.set_experiment_stage, PROJECT, made, "deleted", 6)),
        (Conflict, engine.write(experiments.create_experiment, PROJECT, "one", {}, 7)),
        (InvalidValue, engine.write(experiments.rename_experiment, PROJECT, made, "two", 7)),
        (InvalidValue, engine.write(experiments.set_experiment_tag, PROJECT, made, "a", "b", 7)),
        (InvalidValue, engine.write(experiments.delete_experiment_tag, PROJECT, made, "a", 7)),
        (InvalidValue, engine.write(experiments.set_experiment_stage, PROJECT, "0", "deleted", 7)),
    ):
        with pytest.raises(error):
            await change
    with pytest.raises(InvalidValue):
        await a_run(engine, 2, experiment_id=made)
    await engine.write(experiments.set_experiment_stage, PROJECT, made, "active", 8)
    assert await found(engine) == ["run 1"]


async def test_an_experiment_gets_another_name_and_other_tags(engine: Engine) -> None:
    """The first one, too, which has no row before."""
    made = await engine.write(experiments.create_experiment, PROJECT, "one", {"a": "1"}, 5)
    await engine.write(experiments.rename_experiment, PROJECT, "0", "chats", 6)
    assert (await engine.read(experiments.get_experiment_by_name, PROJECT, "chats")).experiment_id == "0"
    with pytest.raises(NotFound):
        await engine.read(experiments.get_experiment_by_name, PROJECT, "Default")
    with pytest.raises(Conflict):
        await engine.write(experiments.rename_experiment, PROJECT, made, "chats", 6)
    await engine.write(experiments.rename_experiment, PROJECT, made, "one", 6)
    await engine.write(experiments.delete_experiment_tag, PROJECT, made, "a", 7)
    with pytest.raises(NotFound):
        await engine.write(experiments.delete_experiment_tag, PROJECT, made, "a", 7)

    def all_of_them(every: list[Experiment]) -> list[Experiment]:
        return sorted(every, key=lambda each: each.experiment_id)

    first, second = await engine.read(experiments.search_experiments, PROJECT, ("active",), all_of_them)
    assert (first.name, second.name, second.tags, second.last_update_time) == ("chats", "one", {}, 7)


async def test_a_dataset_moves(engine: Engine) -> None:
    """It notes when; what changes nothing changes no time."""
    made = await engine.write(experiments.create_experiment, PROJECT, "one", {}, 5)
    new = Dataset(dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=5, last_update_time=5)
    await engine.write(datasets.create_dataset, new)
    for add, remove, now, within, time in (
        ([made, "0"], [], 6, [made, "0"], 6),
        ([], ["0"], 7, [made], 7),
        ([], ["0"], 8, [made], 7),
    ):
        moved = await engine.write(datasets.set_experiments, PROJECT, "d-1", add, remove, now)
        assert moved == await engine.read(datasets.get_dataset, PROJECT, "d-1")
        assert (moved.experiment_ids, moved.last_update_time) == (within, time)
    with pytest.raises(NotFound):
        await engine.write(datasets.set_experiments, PROJECT, "d-1", ["99"], [], 9)


async def test_a_record_is_changed(engine: Engine) -> None:
    """Outputs are replaced, expectations and tags are added, and nobody's name isn't the last author's."""
    new = Dataset(dataset_id="d-1", project=PROJECT, name="d", digest="", created_time=5, last_update_time=5)
    await engine.write(datasets.create_dataset, new)
    for record, now in (
        (NewRecord(inputs={"a": 1}, outputs=1, expectations={"x": 1}, tags={"mlflow.user": "ann"}), 6),
        (NewRecord(inputs={"a": 1}, outputs=2, expectations={"y": 2}), 7),
    ):
        await engine.write(datasets.upsert_records, PROJECT, "d-1", [("dr-1", record)], now)
    (stored,), _ = await engine.read(datasets.get_records, PROJECT, "d-1", 10, None)
    assert (stored.outputs, stored.expectations, stored.last_updated_by) == (2, {"x": 1, "y": 2}, "ann")
    assert (stored.created_time, stored.last_update_time) == (6, 7)


async def test_a_middle_rating_is_deleted(engine: Engine) -> None:
    """The last one stays the only valid one, and brings the first back when it goes."""
    start = a_start()
    await engine.write(begin_trace, start)
    made = [
        (await engine.write(record_feedback, a_write(start.trace_id, source_id="ann", now=n))).assessments[0]
        for n in range(3)
    ]
    for gone, left in ((made[1], made[2]), (made[2], made[0])):
        await engine.write(delete_assessment, PROJECT, start.trace_id, gone.assessment_id)
        valid = await engine.read(feedback_of, PROJECT, [start.trace_id], "ann")
        assert [each.assessment_id for each in valid[start.trace_id]] == [left.assessment_id]
