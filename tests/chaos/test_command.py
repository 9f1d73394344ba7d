"""`gateway chaos` as a process: what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import re
import signal
import sys

import pytest

from gateway import chaos

RUN = "import sys; from gateway.chaos import main; sys.exit(main('127.0.0.1', int(sys.argv[1])))"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serves_until_a_signal(number: signal.Signals) -> None:
    """It prints its address, the models and a config, answers there, and exits 0."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", RUN, "0", stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    printed = ""
    async with asyncio.timeout(30):
        while "targets" not in printed:
            printed += (await process.stdout.readline()).decode()
    found = re.search(r'base_url = "http://127\.0\.0\.1:(\d+)/v1"', printed)
    assert found is not None
    assert "reset-after-N" in printed
    assert "[DONE]" in printed
    reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
    writer.write(b"GET /stats HTTP/1.1\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    process.send_signal(number)
    await process.communicate()
    writer.close()
    assert process.returncode == 0


async def test_a_port_in_use_is_one_line_and_exit_1() -> None:
    """If it can't listen, it says so on stderr and exits with 1."""
    server = await chaos.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, str(server.port), stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    await server.close()
    assert process.returncode == 1
    assert said.decode().startswith("Cannot listen on 127.0.0.1:")
    assert said.count(b"\n") == 1
