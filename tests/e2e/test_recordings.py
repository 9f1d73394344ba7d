"""Replies in the formats of many providers, played back through the gateway in pieces of many sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

from tests.support.playback import Playback, recorded
from tests.support.servers import GatewayProcess
from tests.support.wires import Reply, fold, joined, request, text_of, without_trace_id

BROKEN = {"cut-off", "openai-error-midstream"}
WHOLE = [name for name in recorded(".sse") if name not in BROKEN]
DOCUMENTS = [name for name in recorded(".json") if not name.startswith(("error-", "openai-embedding"))]
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "go"}]}


def without_extra_usage(payloads: list[bytes]) -> list[Any]:
    """The chunks less the extra one that only who asked for usage gets.

    It comes after the finish, with usage and with no choice, or (LiteLLM, OpenRouter) with one that says nothing.
    """
    kept, finished = [], False
    for chunk in map(json.loads, payloads):
        says = any(c.get("finish_reason") or c.get("delta", {}).get("content") for c in chunk["choices"])
        if finished and chunk.get("usage") and not says:
            continue
        finished = finished or any(c.get("finish_reason") for c in chunk["choices"])
        kept.append(chunk)
    return kept


def through(front: GatewayProcess, name: str, cut: int, **extra: Any) -> Reply:
    body = {"model": name, "stream": True, "x_cut": cut, **ASK, **extra}
    return request("POST", f"{front.url}/v1/chat/completions", body)


def straight(playback: Playback, name: str) -> Reply:
    return request("POST", f"{playback.base_url}/chat/completions", {"model": name, "stream": True, **ASK})


@pytest.mark.parametrize("cut", [0, 1, 100])
@pytest.mark.parametrize("name", WHOLE)
def test_frames_go_through(front: GatewayProcess, playback: Playback, name: str, cut: int) -> None:
    """However the provider's bytes are cut, the caller gets each frame as it was sent, and a good end."""
    theirs = straight(playback, name)
    ours = through(front, name, cut, stream_options={"include_usage": True})
    assert ours.status == 200
    assert ours.payloads[-1] == b"[DONE]"
    sent = [payload for payload in theirs.payloads if payload != b"[DONE]"]
    for got, payload in zip(ours.payloads[:-1], sent, strict=True):
        assert without_trace_id(got) == json.loads(payload)
    ends = [e for e in ours.events if any(c.get("finish_reason") for c in e["choices"])]
    assert ends
    assert {e["trace_id"] for e in ends} == {ours.headers["x-trace-id"]}


@pytest.mark.parametrize("name", WHOLE)
def test_usage_that_nobody_asked_for_is_kept_back(front: GatewayProcess, playback: Playback, name: str) -> None:
    """The gateway asks for usage itself; the extra chunk stays with it, and its numbers are in the trace."""
    theirs = straight(playback, name)
    ours = through(front, name, 0)
    expected = without_extra_usage([p for p in theirs.payloads if p != b"[DONE]"])
    assert [without_trace_id(p) for p in ours.payloads[:-1]] == expected
    assert playback.requests[-1]["stream_options"]["include_usage"] is True
    counts = [e["usage"] for e in theirs.events if e.get("usage")]
    row = front.store.trace(ours.headers["x-trace-id"])
    if counts:
        assert (row["completion_tokens"], row["usage_estimated"]) == (counts[-1]["completion_tokens"], 0)
    elif name != "groq-text":
        assert row["usage_estimated"] == 1


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}], ids=["null", "empty", "false"])
def test_usage_that_is_declined_is_kept_back(front: GatewayProcess, playback: Playback, options: Any) -> None:
    """Stream options that say nothing of usage, or say no, count as not asking for it."""
    got = through(front, "openai-text", 0, stream_options=options)
    assert all(event["choices"] for event in got.events)
    assert playback.requests[-1]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("cut", [0, 3])
@pytest.mark.parametrize("name", WHOLE)
def test_the_native_stream_has_the_same_text(front: GatewayProcess, playback: Playback, name: str, cut: int) -> None:
    """Text, reasoning and tool calls on the native wire are the provider's; so is what the store keeps."""
    choice = fold(straight(playback, name).events)[0]
    body = {"message": "go", "model": name, "x_cut": cut}
    got = request("POST", f"{front.url}/chat/stream", body)
    events = got.events
    assert events[0]["type"] == "start"
    assert [e["type"] for e in events if e["type"] in ("done", "error")] == ["done"]
    assert text_of(events) == choice["content"] + choice["refusal"]
    assert text_of(events, "reasoning") == choice["reasoning"]
    assert events[-1]["finish_reason"] == choice["finish_reason"]
    pieces = [e["tool_call"]["function"]["arguments"] for e in events if e["type"] == "tool_call"]
    assert joined(pieces) == joined(call["arguments"] for call in choice["tools"].values())


@pytest.mark.parametrize("name", WHOLE)
def test_the_trace_has_every_choice(front: GatewayProcess, playback: Playback, name: str) -> None:
    """The store keeps the text, the reasoning and the tool calls of all choices, as the provider sent them."""
    choices = fold(straight(playback, name).events)
    row = front.store.trace(through(front, name, 0, n=len(choices)).headers["x-trace-id"])
    assert (row["outcome"], row["state"], row["finish_reason"]) == ("complete", "OK", choices[0]["finish_reason"])
    assert len(row["response"]) == len(choices)
    for message, choice in zip(row["response"], choices.values(), strict=True):
        assert (message["content"] or "", message.get("refusal", "")) == (choice["content"], choice["refusal"])
    first = row["response"][0]
    assert first.get("reasoning_content", first.get("reasoning", "")) == choices[0]["reasoning"]
    kept = [call["function"]["arguments"] for call in first.get("tool_calls", ())]
    assert kept == [joined([call["arguments"]]) for call in choices[0]["tools"].values()]


def test_a_token_does_not_wait_for_the_next(front: GatewayProcess) -> None:
    """What the provider sent is with the client at once, while the provider says nothing more."""
    body = {"message": "go", "model": "cut-off", "x_hang": True}
    with httpx2.stream("POST", f"{front.url}/chat/stream", json=body, timeout=10) as reply:
        text = ""
        for line in reply.iter_lines():
            event = json.loads(line[6:]) if line.startswith("data: ") else {"type": "other"}
            text += event["content"] if event["type"] == "token" else ""
            if text == "It breaks off he":
                break
        trace_id = reply.headers["x-trace-id"]
    row = front.store.ended(trace_id)
    assert (row["outcome"], row["response"][0]["content"]) == ("disconnected", "It breaks off he")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_go_through(front: GatewayProcess, playback: Playback, name: str) -> None:
    """An answer that doesn't stream is the provider's own document, with the trace ID as the one field more."""
    theirs = request("POST", f"{playback.base_url}/chat/completions", {"model": name, **ASK})
    ours = request("POST", f"{front.url}/v1/chat/completions", {"model": name, "x_cut": 7, **ASK})
    assert ours.json == theirs.json | {"trace_id": ours.headers["x-trace-id"]}
    row = front.store.trace(ours.headers["x-trace-id"])
    assert (row["outcome"], row["completion_tokens"]) == ("complete", theirs.json["usage"]["completion_tokens"])


@pytest.mark.parametrize("name", ["openai-text", "openai-tools", "openai-n2", "openai-logprobs", "openai-refusal"])
@pytest.mark.parametrize("cut", [0, 3])
def test_the_official_clients_accumulated_answer(
    client: openai.OpenAI, recorded: openai.OpenAI, name: str, cut: int
) -> None:
    """The client's own accumulator (tools, n=2, logprobs, refusal) ends with the same completion."""

    def final(sdk: openai.OpenAI, **extra: Any) -> dict[str, Any]:
        with sdk.chat.completions.stream(model=name, n=2, logprobs=True, extra_body=extra, **ASK) as stream:
            stream.until_done()
            return stream.get_final_completion().model_dump(exclude={"trace_id", "usage"})

    assert final(client, x_cut=cut) == final(recorded)


def test_embeddings_as_the_client_asks_for_them(client: openai.OpenAI, playback: Playback) -> None:
    """The client asks for base64 by itself, and gets it."""
    reply = client.embeddings.create(model="openai-embedding", input=["a", "b"])
    assert playback.requests[-1]["encoding_format"] == "base64"
    assert [len(item.embedding) for item in reply.data] == [3, 3]
    assert reply.data[0].embedding[1:] == [-0.25, 3.0]


@pytest.mark.parametrize("name", sorted(BROKEN))
@pytest.mark.parametrize("cut", [0, 1])
def test_an_answer_that_breaks_on_v1(front: GatewayProcess, name: str, cut: int) -> None:
    """The text so far, then an error frame in OpenAI's shape, and no `[DONE]`."""
    got = through(front, name, cut)
    assert b"[DONE]" not in got.body
    assert set(got.events[-1]["error"]) == {"message", "type", "code", "param"}
    assert fold(got.events)[0]["content"] in ("It breaks off he", "Half an answer")
    row = front.store.ended(got.headers["x-trace-id"])
    assert (row["outcome"], row["state"]) == ("upstream_error", "ERROR")
    assert row["response"][0]["content"] in ("It breaks off he", "Half an answer")


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_the_official_client_raises_amid_an_answer_that_breaks(client: openai.OpenAI, name: str) -> None:
    """The client gives the text so far and then raises the error that the frame says."""
    text: list[str | None] = []
    chunks = client.chat.completions.create(model=name, stream=True, **ASK)
    with chunks, pytest.raises(openai.APIError) as caught:
        text.extend(chunk.choices[0].delta.content for chunk in chunks)
    assert "".join(filter(None, text)) in ("It breaks off he", "Half an answer")
    assert caught.value.code == "upstream_error"


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_an_answer_that_breaks_on_the_native_wire(front: GatewayProcess, name: str) -> None:
    """The text so far, then one `error` event with a short text, a code and the trace, which can be rated."""
    got = request("POST", f"{front.url}/chat/stream", {"message": "go", "model": name})
    assert got.status == 200
    last = got.events[-1]
    assert b"event: error" in got.body
    assert (last["type"], last["code"], last["retryable"]) == ("error", "upstream_error", True)
    assert last["trace_id"] == got.headers["x-trace-id"]
    assert text_of(got.events) in ("It breaks off he", "Half an answer")
    rated = request("POST", f"{front.url}/feedback?trace_id={last['trace_id']}", {"is_correct": False})
    assert rated.status == 200


STATUSES: list[tuple[int, type[openai.APIStatusError], int]] = [
    (400, openai.BadRequestError, 400),
    (401, openai.InternalServerError, 502),
    (403, openai.InternalServerError, 502),
    (404, openai.NotFoundError, 404),
    (422, openai.UnprocessableEntityError, 422),
    (429, openai.RateLimitError, 429),
    (500, openai.InternalServerError, 502),
    (503, openai.InternalServerError, 502),
]


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(("status", "expected", "seen"), STATUSES)
def test_refusals(
    client: openai.OpenAI, status: int, expected: type[openai.APIStatusError], seen: int, streaming: bool
) -> None:
    """Each status of a provider's as contract and client say; nothing of its keys or organisation leaks."""
    with pytest.raises(expected) as caught:
        client.chat.completions.create(model=f"error-{status}", stream=streaming, **ASK)
    reply = caught.value.response
    assert reply.status_code == seen
    for secret in ("sk-p", "abcd", "org-abc123", "127.0.0.1"):
        assert secret not in reply.text
    assert reply.headers["x-trace-id"].startswith("tr-")
    if status == 429:
        assert float(reply.headers["retry-after"]) == 11


@pytest.mark.parametrize(("status", "expected", "seen"), STATUSES)
def test_refusals_on_the_native_wires(
    front: GatewayProcess, status: int, expected: type[openai.APIStatusError], seen: int
) -> None:
    """Without a stream they are HTTP errors in the gateway's shape, within one they are the `error` event."""
    body = {"message": "go", "model": f"error-{status}"}
    plain = request("POST", f"{front.url}/chat", body)
    assert plain.status == seen
    assert set(plain.json) >= {"error", "code", "trace_id"}
    assert plain.json["trace_id"] == plain.headers["x-trace-id"]
    streamed = request("POST", f"{front.url}/chat/stream", body)
    assert streamed.status == 200
    assert [e["type"] for e in streamed.events if e["type"] in ("done", "error")] == ["error"]
    assert streamed.events[-1]["code"] == plain.json["code"]


def test_what_a_vendor_takes_goes_there_untouched(front: GatewayProcess, playback: Playback) -> None:
    """Parameters that the gateway doesn't know reach the provider with their value, from both wires."""
    odd = {"top_k": 40, "temperature": 0.1, "x_big": 12345678901234567890, "x_nested": {"a": [1, None, "ü"]}}
    calls: list[Callable[[], Reply]] = [
        lambda: request("POST", f"{front.url}/v1/chat/completions", {"model": "ollama-text", **ASK, **odd}),
        lambda: request("POST", f"{front.url}/chat", {"model": "ollama-text", "message": "go", **odd}),
    ]
    for call in calls:
        assert call().status == 200
        sent = playback.requests[-1]
        assert {key: sent[key] for key in odd} == odd
        assert sent["messages"] == ASK["messages"]
        assert sent.keys() - odd.keys() <= {"model", "messages", "stream", "stream_options"}
        assert playback.headers[-1]["authorization"] == "Bearer sk-playback"


def test_the_non_stream_native_answer(front: GatewayProcess, playback: Playback) -> None:
    """`POST /chat` waits for the whole and says it in one object."""
    theirs = straight(playback, "openai-text")
    got = request("POST", f"{front.url}/chat", {"message": "go", "model": "openai-text", "session_id": "s-chat"})
    body = got.json
    assert body["response"] == joined([fold(theirs.events)[0]["content"]])
    assert (body["session_id"], body["finish_reason"]) == ("s-chat", "stop")
    assert body["usage"]["total_tokens"] > 0
    assert body["trace_id"] == got.headers["x-trace-id"]
