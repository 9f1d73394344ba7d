"""What `[capture] content` keeps of prompts and answers, wherever a provider's words could bring them.

Every answer of this provider quotes the prompt: as text, in the errors of three shapes, and as its finish reason.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.columns import COLUMNS, those
from tests.support.http_client import call
from tests.support.load_client import fetch
from tests.support.router import chunk
from tests.support.servers import GatewayProcess
from tests.support.upstream import HEAD, LAST, part, raw_server, whole

FIRST, LAST_WORD = "Zq7first", "Zq7last"  # the second is beyond what a preview shows
PROMPT = f"{FIRST} {'x' * 1_200} {LAST_WORD}"
SAID = json.dumps({"error": {"message": f"can't take '{PROMPT[-40:]}' of {FIRST}", "code": "policy"}}).encode()
ENDED = {"choices": [{"index": 0, "delta": {}, "finish_reason": f"because of {FIRST}, {LAST_WORD}"}]}
REPLIES = (
    [
        HEAD,
        part(chunk(PROMPT)),
        part(b"data: " + json.dumps(ENDED).encode() + b"\n\n"),
        part(b"data: [DONE]\n\n"),
        LAST,
    ],
    [whole(400, SAID)],
    [whole(500, SAID)],
    [HEAD, part(chunk(FIRST)), part(b"data: " + SAID + b"\n\n"), LAST],
)


async def chats(start_gateway: StartGateway, content: str) -> tuple[GatewayProcess, list[bytes]]:
    """One chat for each reply. What the client got."""
    async with raw_server() as raw:
        raw.replies = [list(reply) for reply in REPLIES]
        gateway = await asyncio.to_thread(
            start_gateway,
            {
                "capture": {"content": content},
                "providers": {"odd": {"kind": "openai", "base_url": raw.url, "api_key": "k"}},
                "models": {"default": {"targets": ["odd/m"], "retries": 0}},
            },
        )
        body = {"message": PROMPT}
        return gateway, [(await fetch(gateway.port, "POST", "/chat/stream", body)).body for _ in REPLIES]


def everywhere(gateway: GatewayProcess) -> dict[str, bytes]:
    """All that can be read of the chats, by where."""
    with closing(sqlite3.connect(f"file:{gateway.store.path}?mode=ro", uri=True)) as connection:
        connection.execute("VACUUM INTO ?", [str(gateway.directory / "backup.db")])
    places = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]
    found = call(gateway, "POST", "/api/3.0/mlflow/traces/search", {"locations": places}).body
    sessions = [call(gateway, "GET", f"/sessions/{row['session_id']}").body for row in gateway.store.traces()]
    seen = {
        "MLflow's search": found,
        "sessions": b"".join(sessions),
        "tail": gateway.run("tail").stdout.encode(),
        "export": gateway.run("export", "traces").stdout.encode(),
    }
    gateway.terminate()
    files = [path for path in gateway.directory.iterdir() if path.is_file() and path.suffix != ".toml"]
    return seen | {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize(("content", "words"), [("none", (FIRST, LAST_WORD)), ("preview", (LAST_WORD,))])
async def test_what_is_not_captured_is_nowhere(
    start_gateway: StartGateway, content: str, words: tuple[str, ...]
) -> None:
    """The client gets the provider's words. Store, backup, log, tail, export and MLflow's clients have none of them."""
    gateway, bodies = await chats(start_gateway, content)
    assert all(FIRST.encode() in body for body in (bodies[0], bodies[1], bodies[3]))
    seen = await asyncio.to_thread(everywhere, gateway)
    assert {"gateway.db", "backup.db", gateway.stdout_path.name} <= set(seen)
    assert [place for place, data in seen.items() for word in words if word.encode() in data] == []
    rows = gateway.store.traces()
    assert [row["outcome"] for row in rows] == ["complete", *["upstream_error"] * 3]
    assert [row["error_message"] for row in rows] == [
        None, "The provider answered 400.", "The provider answered 500.", "The provider failed.",
    ]  # fmt: skip
    assert rows[0]["finish_reason"] == "other"


async def test_what_is_captured_is_in_the_columns_that_are_declared(start_gateway: StartGateway) -> None:
    """A new column with words of prompts or answers has to be declared, so that capture, erasure and retention know it;
    the log has them in no case."""
    gateway, _ = await chats(start_gateway, "full")
    with closing(sqlite3.connect(f"file:{gateway.store.path}?mode=ro", uri=True)) as connection:
        found = {
            (table, column)
            for table, column in COLUMNS
            if any(FIRST in str(value) for (value,) in connection.execute(f"SELECT {column} FROM {table}"))  # noqa: S608
        }
    assert {("traces", "request"), ("traces", "response"), ("traces", "error_message"), ("spans", "message")} <= found
    assert found <= set(those("content"))
    gateway.terminate()
    assert FIRST not in gateway.stdout_path.read_text() + gateway.stderr_path.read_text()


def test_a_rating_in_words_is_not_in_the_log(start_gateway: StartGateway) -> None:
    """Neither its comment nor its value, but for an option that the configuration declares."""
    tone = {"feedback": {"dimensions": {"tone": {"options": ["Zq7 right", "wrong"]}}}}
    gateway = start_gateway(tone)
    asked: Any = call(gateway, "POST", "/chat", {"message": "hi"}).json
    target = f"trace_id={asked['trace_id']}"
    for name, value in (("note", "Zq7 words"), ("user_tone", "Zq7 right"), ("list", ["Zq7 one"]), ("stars", 4)):
        body = {"name": name, "value": value, "rationale": "Zq7 why"}
        assert call(gateway, "POST", f"/feedback?{target}", body).status == 200
    gateway.terminate()
    ratings = [line for line in gateway.log_lines() if line["event"] == "rating"]
    assert [line["value"] for line in ratings] == ["…", "Zq7 right", "…", 4]
    assert "Zq7 w" not in gateway.stdout_path.read_text()
