"""What a gateway holds on to: after very many short requests, and for each open stream. Linux only, as it reads /proc.

Called by the memory test and by the soak runner.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import ExitStack
from pathlib import Path

from tests.support.chaos import ChaosProcess
from tests.support.load_client import Exchange, Reply, allow_many_files, send, until
from tests.support.servers import GatewayProcess

MODEL = "lorem-3-0ms"
IDLE_MODEL = "stall-after-1"
_CONNECTIONS = 32


def resident_kb(pid: int) -> int:
    """The process's resident memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def _request(path: str, body: object) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


_MESSAGES = [{"role": "user", "content": "go on"}]
_REQUESTS = (
    _request("/chat", {"message": "go on"}),
    _request("/chat/stream", {"message": "go on"}),
    _request("/v1/chat/completions", {"messages": _MESSAGES, "stream": True}),
    _request("/v1/chat/completions", {"messages": _MESSAGES}),
)


async def _ask(port: int, requests: list[bytes]) -> None:
    """One connection that is kept alive: takes a request from the list, reads the reply, and so on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while requests:
            writer.write(requests.pop())
            data = b""
            while not Reply(data).whole:
                async with asyncio.timeout(30):
                    piece = await reader.read(65_536)
                assert piece, f"the gateway hung up after {data!r}"
                data += piece
            assert data.startswith(b"HTTP/1.1 200"), data
    finally:
        writer.close()
        await writer.wait_closed()


async def many_requests(directory: Path, first: int, last: int) -> dict[str, float]:
    """Resident memory after the `first` requests and after the `last`, each once the resume window is over."""
    config = {
        "providers": {"demo": {"kind": "demo"}},
        "models": {"default": {"targets": [f"demo/{MODEL}"]}},
        "streaming": {"resume_window_s": 1},
    }
    with GatewayProcess(directory, config) as gateway:
        began, sizes = time.monotonic(), []
        for count in (first, last - first):
            requests = [_REQUESTS[number % len(_REQUESTS)] for number in range(count)]
            await asyncio.gather(*(_ask(gateway.port, requests) for _ in range(_CONNECTIONS)))
            await until(gateway.port, "gateway_kept_streams", lambda kept: kept == 0)
            sizes.append(resident_kb(gateway.pid))
        seconds = time.monotonic() - began
        (stored,) = gateway.store.rows("SELECT COUNT(*) AS number FROM traces WHERE outcome = 'complete'")
        assert stored["number"] == last
    return {
        f"kB after {first}": sizes[0],
        f"kB after {last}": sizes[1],
        "ratio": sizes[1] / sizes[0],
        "requests/s": last / seconds,
    }


async def idle_streams(directory: Path, count: int) -> dict[str, float]:
    """Resident memory for each of `count` streams that have begun and say nothing: both of their sockets included."""
    allow_many_files()
    with ExitStack() as stack:
        upstream = stack.enter_context(ChaosProcess(directory / "chaos"))
        config = {
            "providers": {"upstream": {"kind": "openai", "base_url": f"{upstream.url}/v1"}},
            "models": {"default": {"targets": [f"upstream/{IDLE_MODEL}"], "idle_timeout_s": 300}},
            "streaming": {"disconnect_grace_s": 0},
        }
        gateway = stack.enter_context(GatewayProcess(directory / "gateway", config))
        sizes, open_streams = [], []
        for more in (100, count):  # the first ones pay for what is made once
            for _ in range(more):
                open_streams.append(await _open(gateway.port))
            sizes.append(resident_kb(gateway.pid))
        await until(gateway.port, "gateway_running_streams", lambda running: running == len(open_streams))
        for exchange in open_streams:
            exchange.transport.abort()
        await until(gateway.port, "gateway_running_streams", lambda running: running == 0)
    return {"streams": count, "kB each": (sizes[1] - sizes[0]) / count}


async def _open(port: int) -> Exchange:
    exchange = await send(port, "POST", "/chat/stream", {"message": "go on"})
    while len(exchange.reply().frames) < 2:
        await exchange.more()
    return exchange
