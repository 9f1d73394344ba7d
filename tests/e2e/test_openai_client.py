"""The official Python client through the gateway, against what it gets from the reference itself."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from tests.support.reference import KEY, AimockProcess
from tests.support.servers import GatewayProcess
from tests.support.wires import Reply, fold, joined, request, without_trace_id

WEATHER: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
USAGE: Any = {"include_usage": True}


def say(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def stream(sdk: openai.OpenAI, text: str, model: str = "gpt-4o", **options: Any) -> list[ChatCompletionChunk]:
    with sdk.chat.completions.create(model=model, messages=say(text), stream=True, **options) as chunks:
        return list(chunks)


def both(reference: AimockProcess, front: GatewayProcess, body: dict[str, Any]) -> tuple[Reply, Reply]:
    """The same raw request to the reference and through the gateway."""
    path = "/v1/chat/completions"
    asked = request("POST", reference.url + path, body, {"Authorization": f"Bearer {KEY}"})
    return asked, request("POST", front.url + path, body)


@pytest.mark.parametrize("options", [None, USAGE], ids=["no-usage", "usage"])
def test_a_stream_is_the_references_frame_by_frame(
    reference: AimockProcess, front: GatewayProcess, options: Any
) -> None:
    """Every frame arrives with the bytes that were sent; only the trace ID is added, on the frame that finishes."""
    body = {"model": "gpt-4o", "stream": True, "messages": say("say it all")}
    if options:
        body["stream_options"] = options
    asked, got = both(reference, front, body)
    assert (got.status, got.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
    assert len(got.payloads) == len(asked.payloads) > 50
    for ours, theirs in zip(got.payloads, asked.payloads, strict=True):
        if b'"finish_reason":"' in theirs:
            assert json.loads(ours)["trace_id"] == got.headers["x-trace-id"]
            assert without_trace_id(ours) == json.loads(theirs)
        else:
            assert ours == theirs


def test_a_stream_by_the_client(client: openai.OpenAI, direct: openai.OpenAI) -> None:
    """The client's own types hold the same chunks, extra fields included."""
    ours, theirs = stream(client, "say it all"), stream(direct, "say it all")
    assert [c.model_dump(exclude={"trace_id"}) for c in ours] == [c.model_dump() for c in theirs]
    assert joined(c.choices[0].delta.content or "" for c in ours).startswith("Grüße 😀👩‍👩‍👧 ")


def test_an_answer_that_does_not_stream(
    client: openai.OpenAI, direct: openai.OpenAI, reference: AimockProcess, front: GatewayProcess
) -> None:
    """The whole document is the reference's, with one field more."""
    theirs = direct.chat.completions.create(model="gpt-4o", messages=say("say it all"))
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=say("say it all"))
    ours = raw.parse()
    assert ours.model_dump(exclude={"trace_id"}) == theirs.model_dump()
    assert ours.model_dump()["trace_id"] == raw.headers["x-trace-id"]
    asked, got = both(reference, front, {"model": "gpt-4o", "messages": say("say it all")})
    quoted = json.dumps(asked.json["choices"][0]["message"]["content"], ensure_ascii=False).encode()
    assert asked.json == {key: value for key, value in got.json.items() if key != "trace_id"}
    assert quoted.split(b"\\u")[0] in got.body


@pytest.mark.parametrize("streaming", [True, False])
def test_tool_calls(client: openai.OpenAI, direct: openai.OpenAI, streaming: bool) -> None:
    """Two tool calls arrive whole, and the conversation goes on with their results."""
    if streaming:
        ours, theirs = (
            fold([c.model_dump() for c in stream(sdk, "weather?", tools=WEATHER)]) for sdk in (client, direct)
        )
        assert ours == theirs
        calls = list(ours[0]["tools"].values())
        assert ours[0]["finish_reason"] == "tool_calls"
    else:
        answer = client.chat.completions.create(model="gpt-4o", messages=say("weather?"), tools=WEATHER)
        calls = [c.model_dump()["function"] | {"id": c.id} for c in answer.choices[0].message.tool_calls or ()]
    assert [(c["id"], json.loads(c["arguments"])) for c in calls] == [
        ("call_weather_1", {"city": "Köln", "days": 2}),
        ("call_weather_2", {"city": "日本", "days": 1}),
    ]
    again: Any = [
        *say("weather?"),
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_weather_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_weather_1", "content": "18"},
    ]
    answer = client.chat.completions.create(model="gpt-4o", messages=again, tools=WEATHER)
    assert answer.choices[0].message.content == "It is 18 °C in Köln."


def test_json_mode(client: openai.OpenAI) -> None:
    """`response_format` reaches the provider, and its JSON reaches the caller."""
    chunks = stream(client, "reply in json", response_format={"type": "json_object"})
    text = joined(c.choices[0].delta.content or "" for c in chunks)
    assert json.loads(text) == {"city": "Köln", "days": 2, "nested": {"ok": True}}


def test_reasoning_text(client: openai.OpenAI, direct: openai.OpenAI) -> None:
    """A vendor's own field of the delta goes through."""
    ours, theirs = (fold([c.model_dump() for c in stream(s, "think first", "o3")]) for s in (client, direct))
    assert ours == theirs
    assert ours[0]["reasoning"] == "six by seven is forty-two 😀"


@pytest.mark.parametrize("given", ["embed me", ["embed me", "embed us too"]], ids=["one", "two"])
def test_embeddings(client: openai.OpenAI, direct: openai.OpenAI, given: Any) -> None:
    """Embeddings come as the reference computes them."""
    ours, theirs = (s.embeddings.create(model="text-embedding-3-small", input=given) for s in (client, direct))
    assert ours.model_dump() == theirs.model_dump()
    assert ours.data[0].embedding == [0.1, -0.25, 3e-08, 1]


def test_the_models_are_the_gateways(client: openai.OpenAI) -> None:
    """`models.list` names what the configuration declares."""
    names = {model.id for model in client.models.list()}
    assert {"gpt-4o", "o3", "text-embedding-3-small", "openai-tools"} <= names


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("status", "expected", "seen"),
    [
        (400, openai.BadRequestError, 400),
        (401, openai.InternalServerError, 502),
        (429, openai.RateLimitError, 429),
        (500, openai.InternalServerError, 502),
    ],
)
def test_refusals_are_the_clients_own_exceptions(
    client: openai.OpenAI, status: int, expected: type[openai.APIStatusError], seen: int, streaming: bool
) -> None:
    """What the provider refuses comes as the exception that users already catch, and it has a trace."""
    with pytest.raises(expected) as caught:
        client.chat.completions.create(
            model=f"refuse-{status}", messages=say(f"refuse with {status}"), stream=streaming
        )
    reply = caught.value.response
    assert reply.status_code == seen
    assert reply.headers["x-trace-id"].startswith("tr-")
    assert set(reply.json()["error"]) >= {"message", "type", "code", "param"}
    assert "sk-refer" not in reply.text
    assert "127.0.0.1" not in reply.text
    if status == 429:
        assert int(reply.headers["retry-after"]) >= 1


def test_an_unknown_model(client: openai.OpenAI) -> None:
    """A model that isn't declared is not found, in OpenAI's shape."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-nowhere", messages=say("say hello"))
    assert "gpt-nowhere" in caught.value.message


def test_an_unknown_route(client: openai.OpenAI) -> None:
    """Other routes of OpenAI's are not found, in its shape."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.files.list()
    assert caught.value.body


def test_a_stream_that_is_cut(client: openai.OpenAI, front: GatewayProcess) -> None:
    """Where the provider's connection breaks, the client gets the text so far and then an error, never a good end."""
    text = ""
    with pytest.raises(openai.APIError) as caught:  # noqa: SIM117, PT012
        with client.chat.completions.create(model="cut", messages=say("cut the line"), stream=True) as chunks:
            trace_id = chunks.response.headers["x-trace-id"]
            for chunk in chunks:
                text += chunk.choices[0].delta.content or ""
    assert not isinstance(caught.value, openai.APIConnectionError)
    assert "This answer never".startswith(text)
    assert text
    row = front.store.ended(trace_id)
    assert (row["outcome"], row["state"]) == ("upstream_error", "ERROR")


def test_the_record_of_a_stream(client: openai.OpenAI, front: GatewayProcess) -> None:
    """Once the client has the end, the store has the trace: text, usage, model, user, session, tags, metadata."""
    extra = {"X-Session-Id": "s-1", "X-User-Id": "ann", "X-Client-Request-Id": "req-e2e-1", "X-Tag-Team": "blue"}
    with client.chat.completions.create(
        model="gpt-4o",
        messages=say("say it all"),
        stream=True,
        extra_headers=extra,
        metadata={"job": "7"},
    ) as chunks:
        text = joined(c.choices[0].delta.content or "" for c in chunks)
        row = front.store.trace(chunks.response.headers["x-trace-id"])
    assert (row["outcome"], row["state"], row["finish_reason"]) == ("complete", "OK", "stop")
    assert (row["prompt_tokens"], row["completion_tokens"], row["usage_estimated"]) == (7, 41, 0)
    assert (row["session_id"], row["user_id"], row["client_request_id"]) == ("s-1", "ann", "req-e2e-1")
    assert row["response"][0]["content"] == text
    assert row["metadata"]["job"] == "7"
    assert "blue" in row["tags"].values()
    spans = front.store.spans(row["trace_id"])
    assert {s["kind"] for s in spans} == {"SERVER", "CLIENT"}


def test_a_rating_of_a_client_stream(client: openai.OpenAI, front: GatewayProcess) -> None:
    """What the official client got can be rated by the ID in the response's head, or by the caller's own ID."""
    with client.chat.completions.create(
        model="gpt-4o", messages=say("say hello"), stream=True, extra_headers={"X-Client-Request-Id": "req-e2e-2"}
    ) as chunks:
        trace_id = chunks.response.headers["x-trace-id"]
        assert list(chunks)
    body = {"is_correct": False, "comment": "too short"}
    rated = request("POST", f"{front.url}/feedback?client_request_id=req-e2e-2&user_id=ann", body)
    assert (rated.status, rated.json["trace_id"]) == (200, trace_id)
    (row,) = front.store.assessments(trace_id, valid=True)
    assert (row["name"], row["value"], row["rationale"]) == ("user_feedback", False, "too short")
    assert (row["source_type"], row["source_id"]) == ("HUMAN", "ann")


def test_a_trace_id_before_the_end_on_request(client: openai.OpenAI, front: GatewayProcess) -> None:
    """With `x-mlflow-return-trace-id` the trace ID also comes alone, right before the end."""
    body = {"model": "gpt-4o", "stream": True, "messages": say("say hello")}
    got = request("POST", f"{front.url}/v1/chat/completions", body, {"x-mlflow-return-trace-id": "true"})
    assert got.payloads[-1] == b"[DONE]"
    assert json.loads(got.payloads[-2]) == {"trace_id": got.headers["x-trace-id"]}
