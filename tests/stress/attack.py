"""Clients that mean harm, in very great number, in a process of their own: `python -m tests.stress.attack`.

`trickle`: connections that send a byte a second; `deaf`: readers of an endless stream that never read; `drop`: streams
that are opened and dropped. Prints its counts as JSON. Started by tests/stress/hostile.py, which looks after the rest.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.support.load_client import allow_many_files, send

_HEAD = b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_BODY = b"Content-Length: 1000000\r\n\r\n{"
_AT_ONCE = 40


async def trickle(port: int, count: int, seconds: float) -> dict[str, float]:
    """So many connections at any time, half of them in a head, half in a body; one that is closed is opened anew."""
    end = time.monotonic() + seconds
    seen: Counter[str] = Counter()
    longest = 0.0

    async def one(number: int) -> None:
        nonlocal longest
        await asyncio.sleep(random.random())
        while time.monotonic() < end:
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            seen["opened"] += 1
            writer.write(_HEAD + _BODY if number % 2 else _HEAD + b"X: ")
            reply = asyncio.create_task(reader.read(4096))
            try:
                while not reply.done() and time.monotonic() < end:
                    writer.write(b"x")
                    await asyncio.wait({reply}, timeout=1)
                if reply.done():
                    longest = max(longest, time.monotonic() - began)
                    seen["ended with 408" if reply.result().startswith(b"HTTP/1.1 408") else "ended otherwise"] += 1
            except OSError:
                seen["ended otherwise"] += 1
            finally:
                reply.cancel()
                await asyncio.gather(reply, return_exceptions=True)
                writer.transport.abort()

    await asyncio.gather(*(one(number) for number in range(count)))
    return {**seen, "longest held, s": longest}


async def deaf(port: int, count: int, seconds: float) -> dict[str, float]:
    """So many readers at once that take the first bytes and no more, until they are cut off."""

    async def one() -> bool:
        body = {"message": "go on", "model": "endless"}
        exchange = await send(port, "POST", "/chat/stream", body, small=True)
        await exchange.more()
        exchange.transport.pause_reading()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(1)
            exchange.transport.write(b"\r\n")  # means nothing: how a client that doesn't read hears that it was cut off
            if exchange.closed.done():
                return True
        exchange.transport.abort()
        return False

    cut = await asyncio.gather(*(one() for _ in range(count)))
    return {"deaf readers": count, "cut off": sum(cut)}


async def drop(port: int, count: int, key: str) -> dict[str, float]:
    """So many streams, one after the other on each of a few dozen connections, dropped at their first bytes."""
    seen: Counter[str] = Counter()
    left = count
    headers = {"Authorization": f"Bearer {key}", "Connection": "keep-alive"}

    async def one() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            native = left % 2
            body = {"message": "hi"} if native else {"messages": [{"role": "user", "content": "hi"}], "stream": True}
            path = "/chat/stream" if native else "/v1/chat/completions"
            exchange = await send(port, "POST", path, body | {"model": "attacked"}, headers)
            while exchange.reply().status == 0:
                await exchange.more()
            status = exchange.reply().status
            seen["opened and dropped" if status == 200 else f"refused with {status}"] += 1
            exchange.transport.abort()
            if status != 200:
                left += 1
                await asyncio.sleep(0.05)

    await asyncio.gather(*(one() for _ in range(_AT_ONCE)))
    return dict(seen)


def main() -> None:
    """ATTACK PORT COUNT SECONDS, or for `drop` KEY in place of SECONDS."""
    allow_many_files()
    name, port, count, last = sys.argv[1:]
    attacks: dict[str, Callable[[], Awaitable[dict[str, float]]]] = {
        "trickle": lambda: trickle(int(port), int(count), float(last)),
        "deaf": lambda: deaf(int(port), int(count), float(last)),
        "drop": lambda: drop(int(port), int(count), last),
    }

    async def run() -> dict[str, float]:
        return await attacks[name]()

    print(json.dumps(asyncio.run(run())))


if __name__ == "__main__":
    main()
