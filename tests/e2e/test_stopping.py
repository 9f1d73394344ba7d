"""Answers on OpenAI's wire that are stopped from elsewhere: they end well for their caller."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from tests.support.playback import Playback
from tests.support.servers import GatewayProcess
from tests.support.wires import request

GO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "go"}]
LONG: list[ChatCompletionMessageParam] = [{"role": "user", "content": "talk for long"}]
TRACE = "SELECT * FROM traces WHERE tags LIKE '%plain-stop%'"


def test_a_stop(client: openai.OpenAI, front: GatewayProcess) -> None:
    """A stopped stream ends well for the client: a finish chunk with reason `stop`, then `[DONE]`."""
    with client.chat.completions.create(model="gpt-4o", messages=LONG, stream=True) as chunks:
        trace_id = chunks.response.headers["x-trace-id"]
        text, last = "", None
        for chunk in chunks:
            if not text and chunk.choices[0].delta.content:
                stopped = request("POST", f"{front.url}/chat/stream/{trace_id}/stop")
                assert (stopped.status, stopped.json["trace_id"]) == (200, trace_id)
            text, last = text + (chunk.choices[0].delta.content or ""), chunk
    assert last is not None
    assert (last.choices[0].finish_reason, last.model_dump()["trace_id"]) == ("stop", trace_id)
    row = front.store.trace(trace_id)
    assert (row["outcome"], row["state"], row["finish_reason"]) == ("stopped", "OK", "stopped")
    assert (row["response"][0]["content"], text.startswith("one")) == (text, True)


def test_a_stop_ends_with_done(front: GatewayProcess) -> None:
    """The bytes of the same: the frames so far, one finish chunk, `[DONE]`."""
    lines = []
    ask = {"model": "gpt-4o", "messages": LONG, "stream": True}
    with httpx2.stream("POST", f"{front.url}/v1/chat/completions", json=ask, timeout=30) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: "):
                lines.append(line[6:])
                if len(lines) == 3:
                    request("POST", f"{front.url}/chat/stream/{reply.headers['x-trace-id']}/stop")
    assert lines[-1] == "[DONE]"
    reasons = [json.loads(line)["choices"][0].get("finish_reason") for line in lines[:-1]]
    assert [reason for reason in reasons if reason] == ["stop"]
    assert reasons[-1] == "stop"


def test_a_stop_of_an_answer_that_does_not_stream(front: GatewayProcess, playback: Playback) -> None:
    """Its caller gets a whole document, with what there is and reason `stop`."""
    asked = len(playback.requests)
    ask = {"model": "openai-text", "messages": GO, "x_hang": True}
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(request, "POST", f"{front.url}/v1/chat/completions", ask, {"X-Tag-Case": "plain-stop"})
        deadline = time.monotonic() + 15
        while len(playback.requests) == asked or not (rows := front.store.rows(TRACE)):
            assert time.monotonic() < deadline, "the chat never began"
            time.sleep(0.01)
        request("POST", f"{front.url}/chat/stream/{rows[0]['trace_id']}/stop")
        got = answer.result(15)
    assert got.status == 200
    assert got.json["trace_id"] == got.headers["x-trace-id"] == rows[0]["trace_id"]
    assert (got.json["object"], got.json["choices"][0]["finish_reason"]) == ("chat.completion", "stop")
    assert ChatCompletion.model_validate(got.json, strict=True)
    assert front.store.trace(rows[0]["trace_id"])["outcome"] == "stopped"
