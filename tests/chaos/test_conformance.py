"""`gateway conformance`: this gateway passes all cases, and proxies with a fault fail the case that shows it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.chaos import CASES, conformance
from gateway.chaos.conformance import FORMS, Options, example_config
from tests.support.servers import GatewayProcess, free_port


def test_this_gateway_passes_every_case(tmp_path: Path) -> None:
    """Each case in its four forms, against a real gateway with the config that the command prints."""
    port = free_port()
    with GatewayProcess(tmp_path, example_config(f"http://127.0.0.1:{port}/v1", 1)) as gateway:
        options = ("--target", gateway.url, "--port", str(port), "--timeout", "20", "--json")
        ran = gateway.run("conformance", *options, timeout=90)
    verdicts = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [verdict for verdict in verdicts if not verdict["good"]] == []
    assert {(verdict["case"], verdict["form"]) for verdict in verdicts} == {(c, f) for c in CASES for f in FORMS}
    assert ran.returncode == 0
    assert f"base_url http://127.0.0.1:{port}/v1" in ran.stderr


class Liar:
    """A proxy with the fault that a test chooses, for example one that goes on reading when its client has left."""

    def __init__(self, upstream: str, fault: str) -> None:
        self.upstream, self.fault = upstream, fault
        self.tasks: list[asyncio.Task[Any]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        ours = {"Authorization": "Bearer sk-of-the-liar"}

        async def read() -> None:
            async with aiohttp.ClientSession() as session:
                try:
                    async with session.post(f"{self.upstream}/chat/completions", json=body, headers=ours) as response:
                        async for data in response.content.iter_any():
                            queue.put_nowait(data)
                except aiohttp.ClientError:
                    pass
                queue.put_nowait(None)

        task = asyncio.create_task(read())
        if self.fault == "goes on reading":
            self.tasks.append(task)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await response.prepare(request)
            while (data := await queue.get()) is not None:
                await response.write(data)
            if self.fault == "always done":
                await response.write(b"data: [DONE]\n\n")
            if self.fault == "tells all":
                await response.write(f": {self.upstream} sk-of-the-liar\n\n".encode())
        finally:
            if self.fault != "goes on reading":
                task.cancel()
        return response


@asynccontextmanager
async def liar(port: int, fault: str) -> AsyncIterator[str]:
    """Run a faulty proxy, and give its URL."""
    proxy = Liar(f"http://127.0.0.1:{port}/v1", fault)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", proxy.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        for task in proxy.tasks:
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)
        await runner.cleanup()


async def _verdicts(fault: str, *cases: str, monkeypatch: pytest.MonkeyPatch, timeout: float = 5) -> dict[str, Any]:
    monkeypatch.setattr(conformance, "GRACE_S", 0.3)
    port = free_port()
    async with liar(port, fault) as url:
        options = Options(target=url, port=port, timeout=timeout, only=cases)
        verdicts = await conformance.run(options, [CASES[case] for case in cases])
    assert not isinstance(verdicts, str)
    return {f"{verdict.case} {verdict.form}": "; ".join(verdict.problems) for verdict in verdicts}


@pytest.mark.parametrize(
    ("fault", "case", "wrong"),
    [
        ("none", "ok stream", ""),
        ("none", "reset-after-3 stream", ""),
        ("none", "reset-after-3 plain", "not JSON"),
        ("none", "missing-done stream", "no [DONE]"),
        ("none", "status-500 stream", "the key in the provider's message is shown"),
        ("none", "stall-after-3 stream", "no end within the time allowed"),
        ("none", "lorem-50-20ms stream, left", ""),
        ("always done", "reset-after-3 stream", "[DONE] though the answer failed"),
        ("always done", "ok stream", "[DONE] 2 times; something follows [DONE]"),
        ("tells all", "ok stream", "the gateway's own key for the provider is shown; the provider's address is shown"),
        ("goes on reading", "stall-after-3 stream, left", "the provider's reply was still read"),
    ],
)
async def test_what_is_wrong_is_named(fault: str, case: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict names the fault that a client of the proxy could see."""
    name, _, _ = case.partition(" ")
    timeout = 0.5 if name.startswith("stall") else 5
    found = (await _verdicts(fault, name, monkeypatch=monkeypatch, timeout=timeout))[case]
    assert found.startswith(wrong) if wrong else not found


def run(tmp_path: Path, *args: str) -> Any:
    return GatewayProcess(tmp_path).run("conformance", *args)


def test_bad_usage(tmp_path: Path) -> None:
    """An unknown case, a missing target and one that is no URL are reported, with exit 2."""
    unknown = run(tmp_path, "--target", "http://127.0.0.1:1", "--only", "nonsense")
    missing = run(tmp_path)
    no_urls = [run(tmp_path, "--target", target) for target in ("127.0.0.1:9000", "http://127.0.0.1:x")]
    assert {ran.returncode for ran in (unknown, missing, *no_urls)} == {2}
    assert all("must be an http:// or https:// URL" in ran.stderr for ran in no_urls)
    assert "There is no such case" in unknown.stderr
    assert "--target" in missing.stderr


def test_a_gateway_that_isnt_there(tmp_path: Path) -> None:
    """Without a gateway nothing is judged, and the command says how to point a gateway at the upstream."""
    ran = run(tmp_path, "--target", f"http://127.0.0.1:{free_port()}", "--port", "0")
    assert ran.returncode == 1
    assert "base_url http://127.0.0.1:" in ran.stderr
    assert "The chaos upstream wasn't asked" in ran.stderr


async def test_the_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has one row for each case, then each failure with what was expected and seen; the exit code is 1."""
    port = free_port()
    async with liar(port, "none") as url:
        options = Options(target=url, port=port, timeout=5, only=("ok", "missing-done"))
        assert await conformance.run_and_print(options, [CASES["ok"], CASES["missing-done"]]) == 1
    said = capsys.readouterr()
    assert "ok" in said.out
    assert "FAIL" in said.out
    assert "no [DONE]" in said.out
    assert "7 passed, 1 failed" in said.err


def test_the_config_it_prints_is_good(tmp_path: Path) -> None:
    """`gateway check` accepts the printed configuration."""
    gateway = GatewayProcess(tmp_path, run(tmp_path, "--print-config", "--port", "9100").stdout)
    checked = gateway.run("check")
    assert checked.returncode == 0
    assert "http://127.0.0.1:9100/v1" in checked.stdout
