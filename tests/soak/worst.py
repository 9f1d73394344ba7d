"""One caller does its worst on one route while others chat and rate: a table of routes, a row each.

To add a row, write a coroutine that makes one bad request by the `Caller` it is given, in a file of this folder such as
`by_search.py`, and put a `Row` into its ROWS, which are joined here:

    async def _many_tags(caller: Caller) -> None:
        await caller.send("PATCH", f"/api/3.0/mlflow/datasets/{caller.kept['dataset']}/tags", _tags())

    Row("dataset-tags", "as many tags of a dataset as go into a body", _many_tags, prepare=_a_dataset),

Make bodies once (`functools.cache`), so that the caller isn't what is slow. From then on `scripts/soak --only
worst-dataset-tags` measures it, and tests/stress/test_worst.py runs it in short.

The caller has keys of a project of its own, and runs as a process: `python -m tests.soak.worst`. The others
(tests/stress/hostile.py) have no keys and belong to the first project. Their gaps between tokens, the time to
their first token and that of a rating are taken in peace and meanwhile: at the 99th percentile none may be more than
HELD_UP_MS longer. Called by the soak runner.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.soak import by_import, by_memory, by_search
from tests.soak.caller import Caller, Row, repeat
from tests.stress.hostile import MODELS, ROOT, Figures, at_work
from tests.support.load_client import allow_many_files
from tests.support.servers import GatewayProcess

ROWS: dict[str, Row] = {row.name: row for row in (*by_search.ROWS, *by_import.ROWS, *by_memory.ROWS)}
HELD_UP_MS = 50
_WAITS = ("gap", "first token", "rating")


async def at_worst(
    directory: Path, name: str, seconds: float, *, calm_s: float = 5, at_once: int | None = None
) -> Figures:
    """Measure one row: what others noticed in peace and meanwhile, what the caller was answered, and the memory."""
    allow_many_files()
    row = ROWS[name]
    figures: Figures = {}
    gateway = GatewayProcess(directory, {"models": MODELS, **row.config})
    keys = [_key(gateway, role) for role in ("review", "chat")]
    with gateway:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.soak.worst", name, str(gateway.port), *keys, str(seconds)),
            str(at_once or row.at_once),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert await process.stdout.readline() == b"ready\n", f"the caller of {name} could not prepare"
            async with at_work(gateway, figures, calm_s):
                process.stdin.write(b"go\n")
                found: Figures = json.loads(await process.stdout.readline())
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        gateway.terminate()
    return found | figures


def checked(figures: Figures) -> Figures:
    """Return the figures. Raise AssertionError where others were held up."""
    late = {
        what: figures[f"others: {what} p99 attacked, ms"] - figures[f"others: {what} p99 in peace, ms"]
        for what in _WAITS
    }
    assert all(more <= HELD_UP_MS for more in late.values()), f"others were held up, by so many ms: {late}; {figures}"
    return figures


def _key(gateway: GatewayProcess, role: str) -> str:
    made = gateway.run("keys", "create", "--role", role, "--project", "attacker", "--name", f"attacker-{role}")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


async def _attack(row: Row, caller: Caller, seconds: float) -> None:
    if row.prepare is not None:
        await row.prepare(caller)
        caller.seen.clear()
        caller.longest = 0.0
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps(await repeat(row, caller, seconds)), flush=True)


def main() -> None:
    """NAME PORT REVIEW CHAT SECONDS AT_ONCE."""
    name, port, review, chat, seconds, at_once = sys.argv[1:]
    row = ROWS[name]._replace(at_once=int(at_once))
    asyncio.run(_attack(row, Caller(int(port), review, chat), float(seconds)))


if __name__ == "__main__":
    main()
