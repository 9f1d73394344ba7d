"""Very many streams at once through one gateway, in front of an upstream in another process.

Half of the readers are steady. The others stall at random, hang up, and come back by Last-Event-ID. Some more ask for
an answer that no buffer holds: half of these take it in fits and starts; the other half are deaf, take nothing until
they have been dropped, and then come back for it.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import ExitStack
from pathlib import Path

from tests.support.chaos import ChaosProcess
from tests.support.load_client import Exchange, Frames, allow_many_files, answer_of, endings, metrics, send, text_of
from tests.support.servers import GatewayProcess

LONG_MODEL = "lorem-80000-0ms"
HUGE_MODEL = "huge-line-1"  # a megabyte in one token: more than the kernel ever holds for a client
_LONG_EVERY = 200  # so many streams for each reader that is deaf, and for each of a long answer


class Crowd:
    """The readers of one run. Every one checks its own answer; `most` is how many streams ran at one time."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.resumes = 0
        self.most = 0.0
        self.answers: dict[str, str] = {}  # what each trace said to its reader
        self._random = random.Random(seed)
        self._deaf = 0
        self._seen: dict[str, float] = {}

    async def read(self, model: str, stalls: list[int], *, leave: bool = True) -> None:
        """One stream to its end. `stalls`: for how many milliseconds to read by fits and starts, before leaving and
        coming back, or going on.
        """
        exchange = await self._begin(model)
        frames: Frames = []
        while True:
            if stalls:
                await self._stall(exchange, stalls.pop() / 1000)
                if not leave:
                    continue
                exchange.transport.abort()
            else:
                await exchange.end(120)
            frames += self._frames(exchange)
            if endings(frames[-1:]):
                break
            await asyncio.sleep(self._random.random() * 0.3)
            exchange = await self._resume(frames)
        self._check(model, frames)

    async def refuse_to_read(self, model: str) -> None:
        """Take the first bytes and no more, until the gateway gives up; then come back and take it all."""
        self._deaf += 1
        exchange = await self._begin(model)
        exchange.transport.pause_reading()
        deadline = time.monotonic() + 60
        while self._seen.get("gateway_send_timeouts_total", 0) < self._deaf:
            assert time.monotonic() < deadline, "it was never dropped"
            await asyncio.sleep(0.05)
        exchange.transport.abort()
        frames = self._frames(exchange)
        exchange = await self._resume(frames)
        await exchange.end(120)
        frames += self._frames(exchange)
        self._check(model, frames)

    async def watch(self) -> None:
        """Look at the gateway's metrics all the time, until cancelled."""
        while True:
            self._seen = await metrics(self.port)
            self.most = max(self.most, self._seen["gateway_running_streams"])
            await asyncio.sleep(0.05)

    async def _begin(self, model: str) -> Exchange:
        """A new stream, once its `start` is here."""
        body = {"message": "go on", "model": model}
        exchange = await send(self.port, "POST", "/chat/stream", body, small=True)
        while not exchange.reply().frames:
            await exchange.more()
        return exchange

    async def _resume(self, frames: Frames) -> Exchange:
        self.resumes += 1
        headers = {"Last-Event-ID": str(frames[-1][0])}
        return await send(self.port, "GET", f"/chat/stream/{frames[0][1]['trace_id']}", None, headers, small=True)

    def _frames(self, exchange: Exchange) -> Frames:
        reply = exchange.reply()
        assert reply.status in (0, 200), f"{reply.status} {reply.body!r}"
        return reply.frames

    async def _stall(self, exchange: Exchange, seconds: float) -> None:
        """Read and stop reading by turns for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not exchange.closed.done():
            exchange.transport.pause_reading()
            await asyncio.sleep(min(left, self._random.random() * 0.4))
            if not exchange.transport.is_closing():
                exchange.transport.resume_reading()
            await asyncio.sleep(min(left, self._random.random() * 0.1))

    def _check(self, model: str, frames: Frames) -> None:
        trace_id = str(frames[0][1]["trace_id"])
        said, sent = text_of(frames), answer_of(model)
        assert said == sent, f"{trace_id} of {model} came as {len(said)} characters, {len(sent)} were sent"
        assert endings(frames) == ["done"], f"{trace_id} ended with {endings(frames)}"
        positions = [position for position, _ in frames]
        assert positions == sorted(set(positions)), f"{trace_id}: ids did not rise"
        self.answers[trace_id] = said


async def many_streams(directory: Path, count: int, *, seed: int = 1) -> dict[str, float]:
    """Run `count` streams at 20 ms a token, check every reader and the store, and return the figures."""
    allow_many_files()
    models = [f"{kind}-{tokens}-20ms" for kind in ("lorem", "unicode") for tokens in (60, 80, 100)]
    deaf = max(2, count // _LONG_EVERY)
    with ExitStack() as stack:
        upstream = stack.enter_context(ChaosProcess(directory / "chaos"))
        config = {
            "providers": {"upstream": {"kind": "openai", "base_url": f"{upstream.url}/v1"}},
            "models": {
                name: {"targets": [f"upstream/{name}"], "retries": 0, "first_token_timeout_s": 60}
                for name in [*models, LONG_MODEL, HUGE_MODEL]
            },
            "streaming": {"send_timeout_s": 1, "max_buffer_bytes": 65_536, "disconnect_grace_s": 60},
        }
        gateway = stack.enter_context(GatewayProcess(directory / "gateway", config))
        crowd = Crowd(gateway.port, seed)
        dice = random.Random(seed)
        began = time.monotonic()
        watch = asyncio.create_task(crowd.watch())
        async with asyncio.TaskGroup() as readers:
            for number in range(count):
                stalls = [dice.randrange(100, 1500) for _ in range(dice.randint(1, 3))] if number % 2 else []
                readers.create_task(crowd.read(models[number // 2 % len(models)], stalls))
            for _ in range(deaf):
                readers.create_task(crowd.read(LONG_MODEL, [3000], leave=False))
                readers.create_task(crowd.refuse_to_read(HUGE_MODEL))
        seconds = time.monotonic() - began
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        counted = await metrics(gateway.port)
        for trace_id, said in crowd.answers.items():
            row = gateway.store.ended(trace_id)
            assert row["outcome"] == "complete"
            assert row["response"][0]["content"] == said
        assert counted["gateway_running_streams"] == 0
        assert counted["gateway_readers"] == 0
    return {
        "streams": count + 2 * deaf,
        "most at one time": crowd.most,
        "seconds": seconds,
        "resumes": crowd.resumes,
        "merges": counted["gateway_stream_merges_total"],
        "send timeouts": counted["gateway_send_timeouts_total"],
    }
