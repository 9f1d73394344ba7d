"""A gateway in front of the chaos upstream, each a process of its own, and what can be counted on them from outside.

Used by the tests about misbehaving providers and clients. It asserts nothing but that a wait ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.servers import GatewayProcess, ServerProcess, free_port

KEY = "sk-gateway-0123456789SECRET"  # ours, for the upstream; whatever ends in SECRET must never be seen
WATCHED = ("gateway_tasks", "gateway_running_streams", "gateway_readers")


class ChaosProcess(ServerProcess):
    """`gateway chaos`, with its counters."""

    name = "chaos"
    ready_path = "/v1/models"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "gateway", "chaos", "--port", str(self.port)]

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(_get(f"{self.url}/stats"))
        return found

    def closed(self, model: str) -> list[dict[str, Any]]:
        """The connections that clients closed during a reply of that model."""
        return [left for left in self.stats()["closed_by_client"] if left["model"] == model]

    def last_body(self) -> Any:
        """Return the newest request's body, decoded."""
        return json.loads(self.stats()["last"][-1]["body"])

    def asked(self, model: str) -> int:
        """How many requests for that model came."""
        return int(self.stats()["by_model"].get(model, 0))


class Levels(NamedTuple):
    """What a case may raise only for a while. An idle connection kept for the next request doesn't count."""

    tasks: float
    running: float
    readers: float
    files: int  # descriptors of the gateway, without its connections to the upstream
    replies: int  # under way at the upstream


class ChaosGateway:
    """A gateway whose providers are one `gateway chaos`: both processes, started."""

    def __init__(self, gateway: GatewayProcess, upstream: ChaosProcess) -> None:
        self.gateway, self.upstream = gateway, upstream

    @property
    def url(self) -> str:
        return self.gateway.url

    def metric(self, name: str) -> float:
        """A value without labels."""
        return _values(_get(f"{self.url}/metrics"))[name]

    def levels(self) -> Levels:
        stats = self.upstream.stats()
        values = _values(_get(f"{self.url}/metrics"))
        files = len(self._files()) - stats["open"]
        tasks, running, readers = (values[name] for name in WATCHED)
        return Levels(tasks, running, readers, files, sum(stats["running"].values()))

    def _files(self) -> list[str]:
        """The gateway's open files, without those of the store, which SQLite opens when it first needs them."""
        found = []
        for entry in Path(f"/proc/{self.gateway.pid}/fd").iterdir():
            with suppress(OSError):  # it was closed meanwhile
                found.append(os.readlink(entry))
        return [name for name in found if not name.startswith(str(self.gateway.store_path))]

    async def settled(self, before: Levels, timeout: float = 10) -> Levels:
        """The levels once they are not above `before`, or those at the end of the wait."""
        deadline = time.monotonic() + timeout
        while True:
            now = await asyncio.to_thread(self.levels)
            if all(a <= b for a, b in zip(now, before, strict=True)) or time.monotonic() > deadline:
                return now
            await asyncio.sleep(0.02)

    async def ended(self, trace_id: str) -> dict[str, Any]:
        """The trace's row once it has an outcome."""
        return await asyncio.to_thread(self.gateway.store.ended, trace_id)

    async def trace_of(self, client_request_id: str) -> str:
        """The trace ID of a request that has no answer yet."""
        sql = "SELECT trace_id FROM traces WHERE client_request_id = ?"
        found = await until(lambda: self.gateway.store.rows(sql, client_request_id))
        return str(found[0]["trace_id"])


async def until(look: Callable[[], Any], timeout: float = 15) -> Any:
    """What `look` finds, once it is true."""
    deadline = time.monotonic() + timeout
    while not (found := await asyncio.to_thread(look)):
        assert time.monotonic() < deadline, f"still {found!r} after {timeout} s"
        await asyncio.sleep(0.02)
    return found


@contextmanager
def chaos_gateway(directory: Path, models: Mapping[str, Any], **sections: Any) -> Iterator[ChaosGateway]:
    """Both, started. Targets are `chaos/…`; `closing/…` is the same with connections of its own, `nobody/…` refuses."""
    with ChaosProcess(directory / "chaos") as upstream:
        provider = {"base_url": f"{upstream.url}/v1", "api_key": KEY}
        nobody = {"base_url": f"http://127.0.0.1:{free_port()}/v1"}
        providers = {"chaos": provider, "closing": provider, "nobody": nobody}
        config = {"providers": providers, "models": dict(models), **sections}
        with GatewayProcess(directory / "gateway", config) as gateway:
            yield ChaosGateway(gateway, upstream)


def model(*targets: Any, **options: Any) -> dict[str, Any]:
    """A model's section, without retries and with timeouts that only a stuck test meets."""
    long = dict.fromkeys(("first_token_timeout_s", "idle_timeout_s", "total_timeout_s"), 30)
    return {"targets": list(targets), "retries": 0, "connect_timeout_s": 2, **long, **options}


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310  always one of our own http URLs
        body: bytes = reply.read()
        return body


def _values(metrics: bytes) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in metrics.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}
