"""The chaos upstream's routes, counters and connections, over sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway import chaos
from gateway.chaos import TEXT, ChaosServer
from tests.support.chaos_reader import Answer, ask, read, request


async def until(fact: Callable[[], bool]) -> None:
    """Wait for something that the server does in its own time."""
    async with asyncio.timeout(20):
        while not fact():  # noqa: ASYNC110 - the server has counters, not events
            await asyncio.sleep(0.005)


async def get(server: ChaosServer, path: str, method: str = "GET") -> tuple[int, Any]:
    reading = await ask(server, f"{method} {path} HTTP/1.1\r\nHost: chaos\r\n\r\n".encode())
    return reading.status, json.loads(reading.body)


async def post(server: ChaosServer, path: str, body: bytes) -> tuple[int, Any]:
    reading = await ask(server, b"POST %b HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body))
    return reading.status, json.loads(reading.body)


async def test_models_lists_the_table(server: ChaosServer) -> None:
    """GET /v1/models names every case."""
    status, body = await get(server, "/v1/models?limit=5")
    assert status == 200
    assert [model["id"] for model in body["data"]] == list(chaos.CASES)


async def test_embeddings_are_vectors(server: ChaosServer) -> None:
    """POST /v1/embeddings answers in OpenAI's form, one vector for each input, in base64 if that was requested."""
    reading = await ask(server, request("ok", stream=False, path="/v1/embeddings", input=["a", "b"]))
    vectors = [item["embedding"] for item in json.loads(reading.body)["data"]]
    assert [len(vector) for vector in vectors] == [8, 8]
    one = await ask(server, request("ok", stream=False, path="/v1/embeddings", input="a", encoding_format="base64"))
    assert isinstance(json.loads(one.body)["data"][0]["embedding"], str)


async def test_embeddings_misbehave_like_plain_replies(server: ChaosServer) -> None:
    """The model's name decides about embeddings too."""
    reading = await ask(server, request("status-404", stream=True, path="/v1/embeddings", input="a"))
    assert reading.status == 404
    reading = await ask(server, request("close-after-3", stream=True, path="/v1/embeddings", input="a"))
    assert not reading.whole


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/other", b"{}", 404, "not_found"),
        ("/v1/chat/completions", b"{", 400, "invalid_request_error"),
        ("/v1/chat/completions", b"[]", 400, "invalid_request_error"),
        ("/v1/chat/completions", b'{"a":"\xff"}', 400, "invalid_request_error"),
        ("/v1/chat/completions", b"{}", 404, "model_not_found"),
        ("/v1/chat/completions", b'{"model":"gpt-4o"}', 404, "model_not_found"),
    ],
)
async def test_a_bad_request_is_told_so(server: ChaosServer, path: str, body: bytes, status: int, code: str) -> None:
    """A request that isn't for a chaos model gets an error in OpenAI's form."""
    got, document = await post(server, path, body)
    assert (got, document["error"]["code"]) == (status, code)


async def test_chat_wants_post(server: ChaosServer) -> None:
    """A GET on a POST route is 405."""
    assert (await get(server, "/v1/chat/completions"))[0] == 405


async def test_usage_comes_only_where_it_was_asked_for(server: ChaosServer) -> None:
    """Without include_usage there is no usage chunk."""
    data = request("ok", stream=True)
    assert Answer(await ask(server, data)).usage is not None
    answer = Answer(await ask(server, data.replace(b'"include_usage":true', b'"include_usage":null')))
    assert answer.complete
    assert answer.usage is None


async def test_a_connection_serves_many_requests(server: ChaosServer) -> None:
    """Keep-alive works, pipelined requests as well, and stats tells connections from requests."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("ok", stream=True))
    assert Answer(await read(reader)).text == TEXT
    writer.write(request("lorem-2-0ms", stream=False))
    assert Answer(await read(reader)).text == "lorem ipsum"
    assert (server.stats.connections, server.stats.open, server.stats.requests) == (1, 1, 2)
    assert server.stats.by_model == {"ok": 1, "lorem-2-0ms": 1}
    writer.close()


async def test_connection_close_is_honoured(server: ChaosServer) -> None:
    """A client that says `Connection: close` gets its answer and the end."""
    data = request("ok", stream=True).replace(b"Host: chaos", b"Connection: close")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    assert Answer(await read(reader)).complete
    assert await reader.read() == b""
    writer.close()


async def test_a_client_that_leaves_is_counted(server: ChaosServer) -> None:
    """During a stalled reply the server notices the close at once, and records when, and after how many bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("stall-after-3", stream=True))
    await read(reader, until="lorem ipsum dolor")
    assert server.stats.open == server.stats.running["stall-after-3"] == 1
    before = time.monotonic()
    writer.close()
    await until(lambda: server.stats.open == 0)
    (left,) = server.stats.closed_by_client
    assert left.model == "stall-after-3"
    assert left.at >= before
    assert left.sent > 500
    await until(lambda: server.stats.running.total() == 0)


async def test_a_client_that_reads_nothing_can_leave(server: ChaosServer) -> None:
    """An endless stream waits for a slow reader, and ends with it."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(request("endless-0ms", stream=True))
    await until(lambda: server.stats.running["endless-0ms"] == 1)
    await asyncio.sleep(0.05)
    writer.transport.abort()
    await until(lambda: server.stats.open == 0)
    assert server.stats.closed_by_client[0].model == "endless-0ms"


async def test_a_reply_larger_than_the_buffers_goes_on_when_read(server: ChaosServer) -> None:
    """The script waits while the client is behind, and resumes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(request("huge-line-12", stream=True))
    await until(lambda: server.stats.running["huge-line-12"] == 1)
    taken, tail = 0, b""
    while not tail.endswith(b"\r\n0\r\n\r\n"):
        data = await reader.read(1_000_000)
        taken += len(data)
        tail = (tail + data)[-10:]
    assert taken > 12_000_000
    writer.close()


async def test_a_stale_connection_closes_on_the_next_request(server: ChaosServer) -> None:
    """`stale` stays open until another request arrives, which gets no answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("stale", stream=False))
    assert Answer(await read(reader)).complete
    assert server.stats.open == 1
    writer.write(request("ok", stream=False))
    assert await reader.read() == b""
    assert server.stats.requests == 1
    writer.close()
    assert not server.stats.closed_by_client


async def test_close_idle_ends_after_the_answer(server: ChaosServer) -> None:
    """`close-idle` closes by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("close-idle", stream=True))
    assert Answer(await read(reader)).complete
    assert await reader.read() == b""
    writer.close()


async def test_a_half_closed_connection_waits_for_the_client(server: ChaosServer) -> None:
    """After its FIN the server keeps the connection until the client closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("half-close-after-1", stream=True))
    assert (await read(reader)).end == "eof"
    assert server.stats.open == 1
    writer.close()
    await until(lambda: server.stats.open == 0)
    assert server.stats.closed_by_client[0].model == "half-close-after-1"


async def test_a_reset_is_a_reset(server: ChaosServer) -> None:
    """`reset-after-N` ends in RST, `close-after-N` in FIN."""
    assert (await ask(server, request("reset-after-2", stream=True))).end == "reset"
    assert (await ask(server, request("close-after-2", stream=True))).end == "eof"


async def test_nobody_listens_on_the_refused_port(server: ChaosServer) -> None:
    """A connection to `refused_url` is refused."""
    port = int(server.refused_url.split(":")[2].removesuffix("/v1"))
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_what_is_no_http_ends_the_connection(server: ChaosServer) -> None:
    """Bytes that aren't HTTP get no answer."""
    assert (await ask(server, b"\x16\x03\x01 hello\r\n\r\n")).raw == b""


async def test_expect_100_continue_is_answered(server: ChaosServer) -> None:
    """A client that sends `Expect: 100-continue` is told to continue."""
    head, _, body = request("ok", stream=False).partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert Answer(await read(reader)).text == TEXT
    writer.close()


async def test_a_huge_body_is_cut_off(server: ChaosServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request beyond the limit ends the connection."""
    monkeypatch.setattr("gateway.chaos.server.MAX_BODY", 1000)
    reading = await ask(server, request("ok", stream=False, padding="x" * 2000))
    assert reading.raw == b""


async def test_stats_as_json(server: ChaosServer) -> None:
    """GET /stats shows the counters and the last requests, and counts itself as none."""
    await ask(server, request("ok", stream=False))
    status, stats = await get(server, "/stats")
    assert status == 200
    assert (stats["requests"], stats["by_model"], stats["running"]) == (1, {"ok": 1}, {})
    assert json.loads(stats["last"][0]["body"])["model"] == "ok"


async def test_the_last_requests_are_kept(server: ChaosServer) -> None:
    """Bodies and headers of requests can be read in process."""
    await ask(server, request("ok", stream=False).replace(b"Host: chaos", b"Authorization: Bearer x"))
    seen = server.stats.last[-1]
    assert seen.header("Authorization") == "Bearer x"
    assert seen.header("cookie") is None
    assert seen.json()["messages"] == [{"role": "user", "content": "hi"}]


async def test_flaky_counts_its_requests(server: ChaosServer) -> None:
    """`flaky-2` fails twice and answers the third, again and again."""
    statuses = [(await ask(server, request("flaky-2", stream=True))).status for _ in range(6)]
    assert statuses == [500, 500, 200, 500, 500, 200]


async def test_close_drops_everything() -> None:
    """After close there are no connections and no tasks."""
    server = await chaos.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request("stall-head", stream=True))
    await until(lambda: server.stats.running["stall-head"] == 1)
    await server.close()
    await until(lambda: server.stats.open == 0)
    assert len(asyncio.all_tasks()) == 1
    writer.close()
