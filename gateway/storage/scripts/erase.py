"""Transaction scripts that remove a person from the store and keep the numbers. See traces.py for what a script is.

A trace of the person stays as a row of numbers: when, how long, which model, how it ended. So do ratings, without
their words and without who gave them (kept.py). What others keep of the person is erase_copies.py's. Called by
gateway/erasure.py, which keeps the order; the notes also by `gateway erase`. In all of them `project` None means every
project, and `declared` is what ratings may say (kept.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from gateway.storage.engine import Row, Script
from gateway.storage.scripts.attachments import drop_attachments
from gateway.storage.scripts.kept import ERASED, Declared, clear_ratings, drop_empty_session
from gateway.storage.scripts.traces import CLIENT_ROUTE, PARENT_LABEL, numbers, strings, to_json

_IN_PROJECT = "project = COALESCE($2, project)"
_CONTENT = "request_preview = NULL, response_preview = NULL, request = NULL, response = NULL, parts = NULL"
# No session has the empty ID, so the turn is in no conversation any more.
_PERSON = (
    "user_id = NULL, client_request_id = NULL, session_id = '', traceparent = NULL, tags = '{}', metadata = '{}',"
    " error_message = NULL, name = NULL"
)


_ID_KEYS = frozenset(
    ("user", "user_id", "user_name", "session", "session_id", "conversation_id")
)  # …, also after a dot
_MORE_ID_KEYS = frozenset(("user.id", "enduser.id", "session.id", "gen_ai.conversation.id"))
_WORD_CHARS, _ID_CHARS = 12, 8  # longer than most words; enough for an ID that has more than letters
_MOST_VALUES = 100  # in one statement


class ErasureTarget(msgspec.Struct, frozen=True):
    """A trace that an erasure clears.

    `shared`: it is another user's, of a conversation that the person was in. `leaves`: that conversation is the
    person's, and its ID goes, too.
    """

    trace_id: str
    project: str
    session_id: str
    shared: bool = False
    leaves: bool = True


def traces_of(user_id: str, project: str | None) -> Script[list[ErasureTarget]]:
    """Return the person's traces, and what others have of them.

    In conversations that are the person's these are all traces: those without a user are the person's, too. In others'
    they are, as `shared`, later ones, which quote the person. So do a client's traces in which the person's chats were
    made. It reads every trace.
    """
    rows = yield (
        f"SELECT trace_id, project, session_id, request_time FROM traces WHERE user_id = $1 AND {_IN_PROJECT}",  # noqa: S608  a constant
        (user_id, project),
    )
    found = [ErasureTarget(row["trace_id"], row["project"], row["session_id"]) for row in rows]
    first: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["session_id"]:  # else it is in no conversation
            place = (row["project"], row["session_id"])
            first[place] = min(first.get(place, row["request_time"]), row["request_time"])
    owned = yield (
        f"SELECT project, session_id FROM sessions WHERE user_id = $1 AND {_IN_PROJECT}",  # noqa: S608  a constant
        (user_id, project),
    )
    hers = {(row["project"], row["session_id"]) for row in owned}
    for place in first.keys() - hers:
        if (yield from _is_persons_alone(*place, user_id)):
            hers.add(place)
    for of, session_id in sorted(first.keys() | hers):
        others = yield (
            "SELECT trace_id, user_id, request_time FROM traces WHERE project = $1 AND session_id = $2"
            " AND (user_id IS NULL OR user_id <> $3)",
            (of, session_id, user_id),
        )
        leaves = (of, session_id) in hers
        for row in others:
            if leaves or row["request_time"] >= first[of, session_id]:
                shared = not leaves or row["user_id"] is not None
                found.append(ErasureTarget(row["trace_id"], of, session_id, shared, leaves))
    return found + (yield from _linked(found, user_id))


def _linked(found: Sequence[ErasureTarget], user_id: str) -> Script[list[ErasureTarget]]:
    """Return the traces of clients in which these chats were made, and chats without a user made in these traces.

    A client's trace around chats of others, too, is `shared`.
    """
    known = {each.trace_id for each in found}
    projects: dict[str, list[str]] = {}
    for target in found:
        if not target.shared:
            projects.setdefault(target.project, []).append(target.trace_id)
    linked: dict[str, ErasureTarget] = {}
    for project, trace_ids in projects.items():
        for chat in (yield from _chats_in(project, trace_ids)):
            if chat["user_id"] is None:
                linked[chat["trace_id"]] = ErasureTarget(chat["trace_id"], project, chat["session_id"], leaves=False)
        around = {row["trace_id"]: row for row in (yield from _traces_around(project, trace_ids))}
        others = {trace_id for trace_id, row in around.items() if row["user_id"] is not None}
        for chat in (yield from _chats_in(project, list(around))):
            if chat["user_id"] != user_id and chat["trace_id"] not in known:
                others.add(chat["within"])
        for trace_id, row in around.items():
            shared = trace_id in others
            linked[trace_id] = ErasureTarget(trace_id, project, row["session_id"], shared=shared, leaves=False)
    return [target for trace_id, target in linked.items() if trace_id not in known]


def _traces_around(project: str, trace_ids: Sequence[str]) -> Script[list[Row]]:
    """Return the traces of clients in which these chats were made, by their `traceparent`."""
    found: list[Row] = []
    for chunk in chunks(trace_ids):
        found += yield (
            "SELECT DISTINCT p.trace_id, p.session_id, p.user_id FROM labels l JOIN traces p ON p.trace_id = l.value"  # noqa: S608
            f" WHERE l.kind = 'metadata' AND l.key = $1 AND l.trace_id IN ({numbers(4, len(chunk))})"
            " AND p.project = $2 AND p.route = $3",
            (PARENT_LABEL, project, CLIENT_ROUTE, *chunk),
        )
    return found


def _chats_in(project: str, trace_ids: Sequence[str]) -> Script[list[Row]]:
    """Return the chats that were made `within` these traces of clients."""
    found: list[Row] = []
    for chunk in chunks(trace_ids):
        found += yield (
            "SELECT t.trace_id, t.session_id, t.user_id, l.value AS within"  # noqa: S608  numbers
            " FROM labels l JOIN traces t ON t.trace_id = l.trace_id WHERE l.project = $1 AND l.kind = 'metadata'"
            f" AND l.key = $2 AND l.value IN ({numbers(3, len(chunk))}) AND LENGTH(l.value) <= 250",
            (project, PARENT_LABEL, *chunk),
        )
    return found


def chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return the values in parts that a statement takes."""
    return (values[at : at + _MOST_VALUES] for at in range(0, len(values), _MOST_VALUES))


def _is_persons_alone(project: str, session_id: str, user_id: str) -> Script[bool]:
    """Return whether a conversation of traces that clients made, which has no row of its own, names nobody else."""
    rows = yield "SELECT 1 FROM sessions WHERE project = $1 AND session_id = $2", (project, session_id)
    if rows:
        return False
    rows = yield (
        "SELECT 1 FROM traces WHERE project = $1 AND session_id = $2 AND user_id <> $3 LIMIT 1",
        (project, session_id, user_id),
    )
    return not rows


def erase_traces(targets: Sequence[ErasureTarget], declared: Declared) -> Script[None]:
    """Clear these traces, their spans, and their ratings of all that isn't a number."""
    for target in targets:
        person = "" if target.shared else f"{_PERSON}, "
        yield f"UPDATE traces SET {person}{_CONTENT} WHERE trace_id = $1", (target.trace_id,)  # noqa: S608  constants
        yield (
            "UPDATE spans SET message = NULL, attributes = '{}' WHERE trace_id = $1 AND otlp IS NULL",
            (target.trace_id,),
        )
        # A span that a client made is content as a whole.
        yield "DELETE FROM spans WHERE trace_id = $1 AND otlp IS NOT NULL", (target.trace_id,)
        yield "DELETE FROM trace_artifacts WHERE trace_id = $1", (target.trace_id,)
        yield "DELETE FROM checkpoints WHERE trace_id = $1", (target.trace_id,)
        yield from drop_attachments(target.trace_id)
        if target.shared:
            if target.leaves:
                yield "UPDATE traces SET session_id = '' WHERE trace_id = $1", (target.trace_id,)
                yield from drop_labels(target.trace_id, {target.session_id})
        else:
            yield "DELETE FROM labels WHERE trace_id = $1", (target.trace_id,)
            yield from clear_ratings(target.trace_id, declared)
        yield from drop_empty_session(target.project, target.session_id)


def drop_labels(trace_id: str, names: Collection[str]) -> Script[None]:
    """Take these names of a person out of the tags and metadata of a trace."""
    rows = yield "SELECT kind, key, value FROM labels WHERE trace_id = $1", (trace_id,)
    for row in rows:
        if names_person(row["key"], row["value"], names):
            yield (
                "DELETE FROM labels WHERE trace_id = $1 AND kind = $2 AND key = $3",
                (trace_id, row["kind"], row["key"]),
            )
    rows = yield "SELECT tags, metadata FROM traces WHERE trace_id = $1", (trace_id,)
    for row in rows:
        pairs = [to_json(without(strings(row[name]), names)) for name in ("tags", "metadata")]
        yield "UPDATE traces SET tags = $2, metadata = $3 WHERE trace_id = $1", (trace_id, *pairs)


def without(pairs: dict[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the pairs that don't name the person."""
    return {key: value for key, value in pairs.items() if not names_person(key, value, names)}


def names_person(key: str | None, value: object, names: Collection[str]) -> bool:
    """Return whether a value, under its key, is one of the person's IDs.

    What looks like an ID, by its length, digits or an @, is one wherever it stands. A short one may be any word, and is
    one where the key says so.
    """
    if not isinstance(value, str) or value not in names:
        return False
    of = key or ""
    says_so = of in _MORE_ID_KEYS or of.rpartition(".")[2] in _ID_KEYS
    return says_so or "@" in value or len(value) >= (_WORD_CHARS if value.isalpha() else _ID_CHARS)


def ratings_by(user_id: str, project: str | None) -> Script[list[str]]:
    """Return the IDs of the ratings that the person gave, on anybody's traces. It reads every rating."""
    rows = yield (
        f"SELECT assessment_id FROM assessments WHERE source_id = $1 AND {_IN_PROJECT}",  # noqa: S608  a constant
        (user_id, project),
    )
    return [row["assessment_id"] for row in rows]


def erase_ratings(assessment_ids: Iterable[str], declared: Declared) -> Script[None]:
    """Clear these ratings, and all others of the same rater on the same trace, of the rater and of all words.

    Those of one trace get one rater's name, made from the trace's ID, so that they still count as one rater's.
    """
    cleared: set[tuple[str, str]] = set()
    for assessment_id in assessment_ids:
        rows = yield "SELECT trace_id, source_id FROM assessments WHERE assessment_id = $1", (assessment_id,)
        for row in rows:
            trace_id, source_id = row["trace_id"], row["source_id"]
            alias = f"{ERASED}:{trace_id}"
            if (trace_id, source_id) in cleared or source_id == alias or source_id.startswith(f"{alias}:"):
                continue
            taken = yield "SELECT DISTINCT source_id FROM assessments WHERE trace_id = $1", (trace_id,)
            others = {each["source_id"] for each in taken}
            aliases = (_alias(alias, number) for number in range(1, len(others) + 2))
            free = next(each for each in aliases if each not in others)
            yield from clear_ratings(trace_id, declared, source_id, free)
            cleared.add((trace_id, source_id))


def _alias(alias: str, number: int) -> str:
    """Return what an erased rater is called: another one of the same trace is not the same rater."""
    return alias if number == 1 else f"{alias}:{number}"


def erase_receipts(user_id: str, project: str | None, trace_ids: Collection[str]) -> Script[None]:
    """Delete the receipts kept for retries by this person or about these traces: they hold comments."""
    rows = yield (
        # A receipt begins with {"trace_id":"tr-…", as record_feedback writes it.
        "SELECT project, source_id, key, SUBSTR(receipt, 14, 35) AS trace_id FROM idempotency"
        " WHERE project = COALESCE($1, project)",
        (project,),
    )
    for row in rows:
        if row["source_id"] == user_id or row["trace_id"] in trace_ids:
            yield (
                "DELETE FROM idempotency WHERE project = $1 AND source_id = $2 AND key = $3",
                (row["project"], row["source_id"], row["key"]),
            )


# ------------------------------------------------------------------ notes


def put_note(name: str, value: str) -> Script[None]:
    """Store a small text under a name, as a message to or from the server that owns the store."""
    yield (
        "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def notes(prefix: str) -> Script[dict[str, str]]:
    """Return the notes whose name begins with `prefix`, by name."""
    rows = yield "SELECT name, value FROM meta WHERE SUBSTR(name, 1, $1) = $2", (len(prefix), prefix)
    return {row["name"]: row["value"] for row in rows}


def drop_note(name: str) -> Script[None]:
    """Delete a note, if it is there."""
    yield "DELETE FROM meta WHERE name = $1", (name,)
