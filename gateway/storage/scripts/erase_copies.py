"""Transaction scripts that find and remove what others keep of a person: records of datasets, and the person's IDs.

A record that was taken from one of the person's traces goes as a whole, since what came of which source isn't known; so
does one whose content names the person. Elsewhere the ID goes, and the row stays. `names` are the person's user ID and
the IDs of the person's conversations; see `names_person` for where a value is one of them. See traces.py for what a
script is. Called by gateway/erasure.py, which reads first and then writes in batches.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from gateway.storage.engine import Row, Script
from gateway.storage.scripts.erase import chunks, drop_labels, names_person, without
from gateway.storage.scripts.kept import Declared, clear_ratings, drop_empty_session
from gateway.storage.scripts.traces import numbers, strings, to_json

_CONTENT = ("inputs", "outputs", "expectations")
_AUTHORS = ("created_by", "last_updated_by")
_OF_PROJECT = "dataset_id IN (SELECT dataset_id FROM datasets WHERE project = COALESCE($1, project))"


class RecordPlace(msgspec.Struct, frozen=True):
    """A record of a dataset. `whole`: it goes; otherwise only its tags, source and authors name the person."""

    dataset_id: str
    record_id: str
    whole: bool = True


def records_of(
    trace_ids: Sequence[str], user_id: str | None = None, project: str | None = None
) -> Script[list[RecordPlace]]:
    """Return the records that were taken from these traces, or from deleted ones of this person."""
    found: dict[RecordPlace, None] = {}
    for chunk in chunks(trace_ids):
        rows = yield (
            f"SELECT dataset_id, record_id FROM dataset_sources WHERE trace_id IN ({numbers(1, len(chunk))})",  # noqa: S608
            chunk,
        )
        found |= dict.fromkeys(RecordPlace(row["dataset_id"], row["record_id"]) for row in rows)
    if user_id is not None:
        rows = yield (
            f"SELECT dataset_id, record_id FROM dataset_sources WHERE {_OF_PROJECT} AND user_id = $2",  # noqa: S608
            (project, user_id),
        )
        found |= dict.fromkeys(RecordPlace(row["dataset_id"], row["record_id"]) for row in rows)
    return list(found)


def records_naming(names: Sequence[str], project: str | None) -> Script[list[RecordPlace]]:
    """Return the records in which one of these names is a value. It reads every record."""
    found: dict[tuple[str, str], bool] = {}
    for chunk in chunks(names):
        within = [_within(name) for name in chunk]
        # `LIKE` finds more than is meant where an engine's knows no case, and nested names: they are looked at below.
        likes = " OR ".join(
            f"{column} LIKE ${at} ESCAPE '!'"
            for column in (*_CONTENT, "tags", "source")
            for at in range(2, 2 + len(chunk))
        )
        equal = " OR ".join(f"{column} IN ({numbers(2 + len(chunk), len(chunk))})" for column in _AUTHORS)
        rows = yield (
            f"SELECT * FROM dataset_records WHERE {_OF_PROJECT} AND ({likes} OR {equal})",  # noqa: S608  our own names
            (project, *within, *chunk),
        )
        for row in rows:
            place = (row["dataset_id"], row["record_id"])
            whole = any(_is_named_in(row[column], chunk) for column in _CONTENT)
            if whole or any(_is_named_in(row[column], chunk) for column in ("tags", "source")) or _authored(row, chunk):
                found[place] = found.get(place, False) or whole
    return [RecordPlace(*place, whole) for place, whole in found.items()]


def erase_records(places: Iterable[RecordPlace], names: Collection[str]) -> Script[None]:
    """Delete these records, or take the names out of them."""
    datasets: set[str] = set()
    for place in places:
        at = (place.dataset_id, place.record_id)
        if place.whole:
            yield "DELETE FROM dataset_records WHERE dataset_id = $1 AND record_id = $2", at
            yield "DELETE FROM dataset_sources WHERE dataset_id = $1 AND record_id = $2", at
            datasets.add(place.dataset_id)
            continue
        rows = yield "SELECT * FROM dataset_records WHERE dataset_id = $1 AND record_id = $2", at
        for row in rows:
            tags = row["tags"] and msgspec.json.encode(without(msgspec.json.decode(row["tags"]), names)).decode()
            source = None if _is_named_in(row["source"], names) else row["source"]
            authors = [None if row[column] in names else row[column] for column in _AUTHORS]
            yield (
                "UPDATE dataset_records SET tags = $3, source = $4, created_by = $5, last_updated_by = $6"
                " WHERE dataset_id = $1 AND record_id = $2",
                (*at, tags, source, *authors),
            )
    for dataset_id in sorted(datasets):
        counted = yield "SELECT COUNT(*) AS n FROM dataset_records WHERE dataset_id = $1", (dataset_id,)
        profile = f'{{"num_records":{counted[0]["n"]}}}' if counted[0]["n"] else None
        # The schema has the names of fields, which may be the person's words; upserts learn it again.
        yield "UPDATE datasets SET schema = NULL, profile = $2 WHERE dataset_id = $1", (dataset_id, profile)


def traces_naming(names: Sequence[str], project: str | None) -> Script[list[str]]:
    """Return the IDs of traces with a tag or metadata whose value is one of these names. It reads every label."""
    found: dict[str, None] = {}
    for chunk in chunks(names):
        rows = yield (
            "SELECT trace_id, key, value FROM labels WHERE project = COALESCE($1, project)"  # noqa: S608  numbers
            f" AND value IN ({numbers(2, len(chunk))})",
            (project, *chunk),
        )
        found |= dict.fromkeys(row["trace_id"] for row in rows if names_person(row["key"], row["value"], chunk))
    return list(found)


def erase_labels(trace_ids: Iterable[str], names: Collection[str]) -> Script[None]:
    """Take these names out of the tags and metadata of traces."""
    for trace_id in trace_ids:
        yield from drop_labels(trace_id, names)


def ratings_naming(names: Sequence[str], project: str | None) -> Script[list[tuple[str, str]]]:
    """Return trace and rater of ratings whose value or metadata is one of these names. It reads every rating."""
    found: dict[tuple[str, str], None] = {}
    for chunk in chunks(names):
        likes = " OR ".join(f"metadata LIKE ${at} ESCAPE '!'" for at in range(2, 2 + len(chunk)))
        rows = yield (
            "SELECT trace_id, source_id, value, metadata FROM assessments WHERE project = COALESCE($1, project)"  # noqa: S608
            f" AND ({likes} OR value IN ({numbers(2 + len(chunk), len(chunk))}))",
            (project, *[_within(name) for name in chunk], *[_json(name) for name in chunk]),
        )
        for row in rows:
            if _is_named_in(row["value"], chunk) or _is_named_in(row["metadata"], chunk):
                found[row["trace_id"], row["source_id"]] = None
    return list(found)


def erase_naming_ratings(places: Iterable[tuple[str, str]], declared: Declared) -> Script[None]:
    """Clear these raters' ratings of all that isn't a number."""
    for trace_id, source_id in places:
        yield from clear_ratings(trace_id, declared, source_id)


def sessions_of(user_id: str, project: str | None) -> Script[list[tuple[str, str]]]:
    """Return project and ID of the person's conversations that no trace is left of. It reads every conversation."""
    rows = yield (
        "SELECT project, session_id FROM sessions WHERE user_id = $1 AND project = COALESCE($2, project) AND NOT EXISTS"
        " (SELECT 1 FROM traces t WHERE t.project = sessions.project AND t.session_id = sessions.session_id)",
        (user_id, project),
    )
    return [(row["project"], row["session_id"]) for row in rows]


def erase_sessions(places: Iterable[tuple[str, str]]) -> Script[None]:
    """Delete these conversations, if they are still empty."""
    for place in places:
        yield from drop_empty_session(*place)


class RunPlace(msgspec.Struct, frozen=True):
    """A run whose user is the person; with a kind and a key, one of its values that names the person."""

    run_id: str
    kind: str | None = None
    key: str | None = None


def runs_naming(names: Sequence[str], project: str | None) -> Script[list[RunPlace]]:
    """Return where runs name the person. It reads every run and its values."""
    found: list[RunPlace] = []
    for chunk in chunks(names):
        given = numbers(2, len(chunk))
        runs = yield (
            f"SELECT run_id FROM runs WHERE project = COALESCE($1, project) AND user_id IN ({given})",  # noqa: S608
            (project, *chunk),
        )
        found += [RunPlace(row["run_id"]) for row in runs]
        values = yield (
            "SELECT run_id, kind, key, value FROM run_values WHERE run_id IN"  # noqa: S608  numbers
            f" (SELECT run_id FROM runs WHERE project = COALESCE($1, project)) AND value IN ({given})",
            (project, *chunk),
        )
        named = [row for row in values if names_person(row["key"], row["value"], chunk)]
        found += [RunPlace(row["run_id"], row["kind"], row["key"]) for row in named]
    return found


def erase_runs(places: Iterable[RunPlace]) -> Script[None]:
    """Take the person out of these places."""
    for place in places:
        if place.key is None:
            yield "UPDATE runs SET user_id = '' WHERE run_id = $1", (place.run_id,)
        else:
            yield (
                "DELETE FROM run_values WHERE run_id = $1 AND kind = $2 AND key = $3",
                (place.run_id, place.kind, place.key),
            )


def erase_names(names: Sequence[str], project: str | None) -> Script[None]:
    """Take the names out of experiments and datasets, of which there are few."""
    for chunk in chunks(names):
        for column in _AUTHORS:
            yield (
                f"UPDATE datasets SET {column} = NULL WHERE project = COALESCE($1, project)"  # noqa: S608  our own names
                f" AND {column} IN ({numbers(2, len(chunk))})",
                (project, *chunk),
            )
        yield from _erase_tags("experiments", ("project", "experiment_id"), chunk, project)
        yield from _erase_tags("datasets", ("dataset_id",), chunk, project)


def _erase_tags(table: str, key: Sequence[str], names: Collection[str], project: str | None) -> Script[None]:
    rows = yield f"SELECT * FROM {table} WHERE project = COALESCE($1, project) AND tags <> '{{}}'", (project,)  # noqa: S608
    where = " AND ".join(f"{name} = ${at}" for at, name in enumerate(key, 2))
    for row in rows:
        tags = strings(row["tags"])
        if (left := without(tags, names)) != tags:
            yield f"UPDATE {table} SET tags = $1 WHERE {where}", (to_json(left), *[row[name] for name in key])  # noqa: S608


def _json(name: str) -> str:
    return msgspec.json.encode(name).decode()


def _within(name: str) -> str:
    """Return the pattern of a JSON text that has the name as a string."""
    text = _json(name).replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{text}%"


def _is_named_in(text: str | None, names: Collection[str]) -> bool:
    """Return whether a JSON text has one of the names as a value, however deep."""
    left: list[tuple[str | None, object]] = [(None, msgspec.json.decode(text))] if text is not None else []
    while left:
        key, value = left.pop()
        if isinstance(value, dict):
            left += value.items()
            left += ((None, name) for name in value)
        elif isinstance(value, list):
            left += ((key, each) for each in value)
        elif names_person(key, value, names):
            return True
    return False


def _authored(row: Row, names: Collection[str]) -> bool:
    return any(row[column] in names for column in _AUTHORS)
