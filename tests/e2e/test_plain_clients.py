"""curl, Node's fetch and plain Python on the native wire, as a newcomer and a front end use them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import httpx2
import openai
import pytest

from tests.support.reference import HERE, need, node
from tests.support.servers import GatewayProcess
from tests.support.wires import Reply, joined, text_of


def fetched(front: GatewayProcess, **body: Any) -> dict[str, Any]:
    """What client.mjs saw."""
    done = subprocess.run(
        [node(), str(HERE / "client.mjs"), front.url, json.dumps(body)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def curl(*args: str, data: bytes | None = None) -> Reply:
    """A reply by `curl -sN -i`; `data` is what `--data-binary @-` reads."""
    program = need("curl", "curl (`apt install curl`)")
    command = [program, "-sN", "-i", "-m", "30", *args]
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=True)
    head, body = done.stdout.split(b"\r\n\r\n", 1)
    status, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return Reply(int(status.split()[1]), headers, body)


def whole(sdk: openai.OpenAI, text: str, model: str = "gpt-4o") -> str:
    """The reference's answer, asked for without a stream."""
    answer = sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


def test_node_reads_a_stream_and_rates_it(front: GatewayProcess, direct: openai.OpenAI) -> None:
    """The client code of the documentation works as it stands, to the rating."""
    seen = fetched(front, message="say it all", model="gpt-4o")
    assert joined([seen["text"]]) == whole(direct, "say it all")
    assert (seen["status"], seen["error"], seen["rest"]) == (200, None, "")
    assert seen["traceId"] == seen["header"]
    assert (seen["rated"], seen["rating"]["status"]) == (200, "success")
    (rating,) = front.store.assessments(seen["traceId"], valid=True)
    assert (rating["name"], rating["value"], rating["rationale"]) == ("user_feedback", True, None)
    assert rating["source_id"] == f"anonymous:{seen['traceId']}"


def test_node_sees_an_error_and_can_rate_it(front: GatewayProcess) -> None:
    """An answer that breaks is an `error` event with a text, and what came can be rated."""
    seen = fetched(front, message="cut the line", model="cut")
    assert "This answer never".startswith(seen["text"])
    assert seen["error"]
    assert seen["traceId"] is None
    assert front.store.assessments(seen["header"], valid=True)


def test_curl_streams(front: GatewayProcess, direct: openai.OpenAI) -> None:
    """`curl -N` shows the documented frames: a comment at once, `start`, tokens, one `done`; LF line ends."""
    reply = curl(f"{front.url}/chat/stream", "--json", json.dumps({"message": "say it all", "model": "gpt-4o"}))
    assert reply.status == 200
    assert reply.headers["content-type"].split(";")[0] == "text/event-stream"
    assert reply.headers["cache-control"] == "no-cache, no-transform"
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["x-request-id"]
    assert reply.body.startswith(b": connected\n")
    assert b"\r" not in reply.body
    events = reply.events
    assert events[0]["type"] == "start"
    assert events[0]["trace_id"] == events[-1]["trace_id"] == reply.headers["x-trace-id"]
    assert text_of(events) == whole(direct, "say it all")
    assert (events[-1]["type"], events[-1]["finish_reason"]) == ("done", "stop")
    assert events[-1]["usage"] == {"prompt_tokens": 7, "completion_tokens": 41, "total_tokens": 48}
    assert events[-1]["timing"]["total_ms"] >= events[-1]["timing"]["first_token_ms"] >= 0
    blocks = reply.body.decode().split("\n\n")
    assert blocks[-1] == ""
    assert blocks[-2].startswith("event: done\nid: ")


def test_curl_shows_words_one_after_another(front: GatewayProcess) -> None:
    """`curl -N` prints each token when it comes: the first while the answer runs, most in a piece of their own."""
    program = need("curl", "curl (`apt install curl`)")
    body = json.dumps({"message": "talk for long", "model": "gpt-4o"})
    command = [program, "-sN", "-m", "30", f"{front.url}/chat/stream", "--json", body]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        output, pieces, outcome = b"", 0, ""
        while piece := os.read(process.stdout.fileno(), 65_536):
            output += piece
            if b'"type":"token"' in piece:
                pieces += 1
                if pieces == 1:
                    outcome = front.store.traces()[-1]["outcome"]
    events = Reply(200, {}, output).events
    assert outcome is None
    assert pieces > 5
    assert text_of(events).endswith("fifteen sixteen")
    assert front.store.trace(events[0]["trace_id"])["outcome"] == "complete"


@pytest.mark.parametrize("size", [1, 5, None], ids=["bytes", "fives", "as-it-comes"])
@pytest.mark.parametrize(("text", "model"), [("say it all", "gpt-4o"), ("cut the line", "cut")], ids=["good", "cut"])
def test_python_reads_a_stream_and_rates_it(
    front: GatewayProcess, direct: openai.OpenAI, text: str, model: str, size: int | None
) -> None:
    """The few lines that users write work in Python too, whatever pieces the body is read in."""
    answer, trace_id, error, rest = [], None, None, b""
    ask = {"message": text, "model": model}
    with httpx2.stream("POST", f"{front.url}/chat/stream", json=ask, timeout=30) as response:
        header = response.headers["x-trace-id"]
        for piece in response.iter_bytes(size):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if line.startswith(b"data: "):
                    event = json.loads(line[6:])
                    match event["type"]:
                        case "token":
                            answer.append(event["content"])
                        case "done":
                            trace_id = event["trace_id"]
                        case "error":
                            error = event["error"]
    assert rest == b""
    if model == "cut":
        assert (trace_id, bool(error)) == (None, True)
        assert "This answer never".startswith(joined(answer))
    else:
        assert (trace_id, error) == (header, None)
        assert joined(answer) == whole(direct, text)
    rated = httpx2.post(f"{front.url}/feedback?trace_id={header}", json={"is_correct": True, "comment": None})
    assert (rated.status_code, rated.json()["status"]) == (200, "success")
    (rating,) = front.store.assessments(header, valid=True)
    assert (rating["assessment_id"], rating["value"]) == (rated.json()["assessment_id"], True)


def test_every_native_event_is_whole_text(front: GatewayProcess) -> None:
    """No event holds half a character, although the reference cuts in the middle of one."""
    reply = curl(f"{front.url}/chat/stream", "--json", json.dumps({"message": "say it all", "model": "gpt-4o"}))
    for event in reply.events:
        json.dumps(event, ensure_ascii=False).encode()  # refuses half a surrogate pair


def test_ids_rise(front: GatewayProcess) -> None:
    """Each event's id is greater than the one before."""
    reply = curl(f"{front.url}/chat/stream", "--json", json.dumps({"message": "say it all", "model": "gpt-4o"}))
    ids = [int(line[4:]) for line in reply.body.split(b"\n") if line.startswith(b"id: ")]
    assert ids == sorted(set(ids))
    assert len(ids) == len(reply.events)


def test_curl_resumes(front: GatewayProcess) -> None:
    """A finished stream can be had again from any event on, and nothing is left after its end."""
    body = json.dumps({"message": "say hello", "model": "gpt-4o"})
    first = curl(f"{front.url}/chat/stream", "--json", body)
    url = f"{front.url}/chat/stream/{first.headers['x-trace-id']}"
    ids = [int(line[4:]) for line in first.body.split(b"\n") if line.startswith(b"id: ")]
    again = curl(url, "-H", f"Last-Event-ID: {ids[1]}")
    assert text_of(first.events[:2]) + text_of(again.events) == "Hello! How can I help you today?"
    assert again.events[-1]["type"] == "done"
    assert text_of(curl(f"{url}?after=0").events) == "Hello! How can I help you today?"
    assert curl(url, "-H", f"Last-Event-ID: {ids[-1]}").status == 204


def test_curl_stops(front: GatewayProcess) -> None:
    """A stop from elsewhere ends the stream with `done`, reason `stopped`, and the text so far is kept."""
    program = need("curl", "curl (`apt install curl`)")
    body = json.dumps({"message": "talk for long", "model": "gpt-4o"})
    command = [program, "-sN", "-m", "30", f"{front.url}/chat/stream", "--json", body]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        events: list[dict[str, Any]] = []
        for line in process.stdout:
            if line.startswith(b"data: "):
                events.append(json.loads(line[6:]))
                if len(events) == 3:
                    stopped = curl("-X", "POST", f"{front.url}/chat/stream/{events[0]['trace_id']}/stop")
                    assert stopped.status < 300
    assert (events[-1]["type"], events[-1]["finish_reason"]) == ("done", "stopped")
    row = front.store.trace(events[0]["trace_id"])
    assert (row["outcome"], row["state"]) == ("stopped", "OK")
    assert row["response"][0]["content"] == text_of(events) != ""


BAD = {
    "not-json": (b"{", 400),
    "not-utf-8": (b'{"message": "\xff"}', 400),
    "no-object": (b"[]", 422),
    "nothing-asked": (b'{"message": ""}', 422),
    "no-messages": (b'{"messages": [], "model": "gpt-4o"}', 422),
    "bad-role": (b'{"messages": [{"role": "robot", "content": "x"}], "model": "gpt-4o"}', 422),
    "half-a-character": (b'{"messages": [{"role": "user", "content": "\\ud800"}], "model": "gpt-4o"}', 422),
}


@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/v1/chat/completions"])
@pytest.mark.parametrize(("data", "status"), BAD.values(), ids=BAD.keys())
def test_bad_bodies(front: GatewayProcess, path: str, data: bytes, status: int) -> None:
    """What isn't a chat is refused with a clear error and no trace; OpenAI's clients know only 400 for it."""
    before = len(front.store.traces())
    reply = curl(front.url + path, "-H", "Content-Type: application/json", "--data-binary", "@-", data=data)
    assert reply.status == (400 if path.startswith("/v1") else status)
    assert "x-trace-id" not in reply.headers
    assert reply.headers["x-request-id"]
    error = reply.json["error"]
    assert error["message"] if path.startswith("/v1") else error and reply.json["code"]
    assert len(front.store.traces()) == before
