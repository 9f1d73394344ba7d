"""`gateway conformance`: the chaos cases against any gateway that speaks OpenAI's API. Called by the CLI.

It starts the chaos upstream, which the gateway must have as its provider, asks for every model in every form (stream
and plain, to the end and leaving), and prints what passes and what doesn't. What is looked at is what any gateway
shows; where it is this one (its answers bear X-Trace-Id), each trace must also be there and take a rating.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator

import aiohttp
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from gateway.chaos import server
from gateway.chaos import verdict as judge
from gateway.chaos.case import Case, Expect
from gateway.chaos.cases import CASES, case_for
from gateway.chaos.probe import Seen, visit

GRACE_S = 5.0  # after a client's end, until the provider must have been let go
ALONE = ("flaky", "stale", "close-idle")  # what one request does to them the next one feels: last, one at a time
PARALLEL = 8
FORMS = ("stream", "plain", "stream, left", "plain, left")


class Options(msgspec.Struct, frozen=True):
    """What the command line says."""

    target: str
    key: str | None = None
    prefix: str = ""
    host: str = "127.0.0.1"
    port: int = 8001
    timeout: float = 90.0
    only: tuple[str, ...] = ()
    as_json: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """One case in one form."""

    case: str
    form: str
    good: bool
    expected: str
    seen: str
    problems: list[str]


def main(options: Options) -> int:
    """The exit code: 1 where a case failed or the gateway can't be tried, 2 for an unknown case. Raises OSError."""
    cases = [CASES.get(name) or case_for(name) for name in options.only or CASES]
    if None in cases:
        sys.stderr.write("gateway conformance: no such case (gateway chaos lists them)\n")
        return 2
    return asyncio.run(run_and_print(options, [case for case in cases if case is not None]))


def example_config(base_url: str, seconds: float = 2) -> str:
    """A config.toml for this gateway: every chaos model, with timeouts that make it a matter of a minute."""
    limits = f"connect_timeout_s = 2\nfirst_token_timeout_s = {seconds}\nidle_timeout_s = {seconds}\n"
    limits += f"total_timeout_s = {4 * seconds}\n"
    models = (f'[models.{name}]\ntargets = ["chaos/{name}"]\n{limits}' for name in CASES)
    return "\n".join([f'[providers.chaos]\nbase_url = "{base_url}"\napi_key = "sk-for-chaos-only"\n', *models])


async def run_and_print(options: Options, cases: list[Case]) -> int:
    """All of it; the exit code."""
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    verdicts = await run(options, cases, notes)
    if isinstance(verdicts, str):
        notes.print(f"gateway conformance: {verdicts}", markup=False)
        return 1
    if options.as_json:
        for verdict in verdicts:
            sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    else:
        _print(verdicts, cases, Console(highlight=False))
    failed = sum(not verdict.good for verdict in verdicts)
    notes.print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


async def run(options: Options, cases: list[Case], notes: Console | None = None) -> list[Verdict] | str:
    """The verdicts, or why there are none."""
    upstream = await server.start(options.host, options.port)
    notes = notes or Console(stderr=True, quiet=True)
    try:
        _explain(upstream, options, notes)
        async with _session(options) as session:
            trial = _Trial(session, upstream, options)
            return await trial.unfit() or await _all(trial, cases, notes)
    finally:
        await upstream.close()


def _explain(upstream: server.ChaosServer, options: Options, notes: Console) -> None:
    first = next(iter(CASES))
    notes.print(
        f"The chaos upstream is at {upstream.url} (models: GET /v1/models).\n"
        f"The gateway at {options.target} must have it as its provider: base_url {upstream.url}, any key,\n"
        f"and pass the models' names on: a request for {options.prefix + first!r} must reach it as {first!r}.",
        markup=False,
    )


@contextlib.asynccontextmanager
async def _session(options: Options) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {options.key}"} if options.key else {}
    connector = aiohttp.TCPConnector(limit=0, force_close=True)  # a client that leaves closes its connection
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        yield session


class _Trial:
    """One gateway, with the upstream behind it."""

    def __init__(self, session: aiohttp.ClientSession, upstream: server.ChaosServer, options: Options) -> None:
        self._session, self._upstream, self._options = session, upstream, options
        self._root = options.target.rstrip("/").removesuffix("/v1")
        self._traced = False  # the gateway gives trace IDs, so it is one of ours

    async def unfit(self) -> str | None:
        """Why the gateway can't be tried."""
        seen = await self._visit("ok", stream=False)
        if not self._upstream.stats.by_model["ok"]:
            return f"the chaos upstream wasn't asked; the gateway's answer: {judge.shown(seen)}"
        if seen.status != 200:
            return f"the gateway can't even pass on a good answer: {judge.shown(seen)}"
        self._traced = seen.trace_id is not None
        return None

    async def judge(self, case: Case, form: str) -> Verdict:
        """Play one case in one form."""
        stream, leaves = form.startswith("stream"), form.endswith("left")
        seen = await self._visit(case.name, stream=stream, leaves=leaves)
        expect = self._expected(case, stream)
        found = []
        if not leaves:
            found = judge.problems(seen, expect, name=case.name, stream=stream)
            found += judge.leaks(seen, self._upstream.port, self._keys())
        if not await self._let_go(case.name):
            found.append(f"the provider's reply was still read {GRACE_S:g} s after the client's end")
        if self._traced and seen.status:
            found += await self._untraced(seen)
        expected = "the provider is let go" if leaves else str(expect)
        return Verdict(case.name, form, not found, expected, judge.shown(seen), found)

    def _expected(self, case: Case, stream: bool) -> Expect:
        """A gateway may ask for a stream to give a plain answer; what the provider then did is what counts."""
        for request in reversed(self._upstream.stats.last):
            with contextlib.suppress(msgspec.MsgspecError):
                body = request.json()
                if isinstance(body, dict) and body.get("model") == case.name:
                    return (case.stream if body.get("stream") is True else case.plain).expect
        return (case.stream if stream else case.plain).expect

    async def _visit(self, name: str, *, stream: bool, leaves: bool = False) -> Seen:
        asked = self._upstream.stats.by_model[name]

        async def until_asked() -> None:
            while self._upstream.stats.by_model[name] == asked:  # noqa: ASYNC110 - a counter of the upstream's
                await asyncio.sleep(0.01)

        return await visit(
            self._session,
            f"{self._root}/v1",
            self._options.prefix + name,
            stream=stream,
            timeout=self._options.timeout,
            leave=until_asked if leaves else None,
        )

    async def _let_go(self, name: str) -> bool:
        deadline = time.monotonic() + GRACE_S
        while self._upstream.stats.running[name]:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    def _keys(self) -> set[str]:
        """The keys that the gateway shows its provider, unless they are the client's own."""
        values = (request.header("authorization") or "" for request in self._upstream.stats.last)
        return {value.removeprefix("Bearer ") for value in values} - {"", self._options.key}

    async def _untraced(self, seen: Seen) -> list[str]:
        """What this gateway promises beyond: a trace of every chat, that can be rated."""
        if seen.trace_id is None:
            return ["no X-Trace-Id"]
        url = f"{self._root}/feedback"
        try:
            async with (
                asyncio.timeout(self._options.timeout),
                self._session.post(url, params={"trace_id": seen.trace_id}, json={"is_correct": True}) as response,
            ):
                return [] if response.status == 200 else [f"a rating of the trace gets {response.status}"]
        except (aiohttp.ClientError, TimeoutError) as problem:
            return [f"a rating of the trace gets {type(problem).__name__}"]


async def _all(trial: _Trial, cases: list[Case], notes: Console) -> list[Verdict]:
    found: dict[str, list[Verdict]] = {}
    room = asyncio.Semaphore(PARALLEL)
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("conformance", total=len(cases) * len(FORMS))

        async def play(case: Case) -> None:
            async with room:
                verdicts = found[case.name] = []
                for form in FORMS:
                    progress.update(bar, description=f"{case.name} ({form})")
                    verdicts.append(await trial.judge(case, form))
                    progress.advance(bar)

        async with asyncio.TaskGroup() as group:
            for case in cases:
                if not case.name.startswith(ALONE):
                    group.create_task(play(case))
        for case in cases:
            if case.name.startswith(ALONE):
                await play(case)
    return [verdict for case in cases for verdict in found[case.name]]


def _print(verdicts: list[Verdict], cases: list[Case], out: Console) -> None:
    by_form = {(verdict.case, verdict.form): verdict for verdict in verdicts}
    table = Table("case", *FORMS, "expected of a stream", "of a plain one", box=None, pad_edge=False)
    for case in cases:
        marks = ["pass" if by_form[case.name, form].good else "[red]FAIL[/]" for form in FORMS]
        table.add_row(case.name, *marks, str(case.stream.expect), str(case.plain.expect))
    out.print(table)
    bad = [verdict for verdict in verdicts if not verdict.good]
    if bad:
        failures = Table("failed", "form", "expected", "seen", "wrong", box=None, pad_edge=False, title="\nFailures")
        for verdict in bad:
            wrong = escape(json.dumps("; ".join(verdict.problems), ensure_ascii=True)[1:-1])
            failures.add_row(verdict.case, verdict.form, verdict.expected, escape(verdict.seen), wrong)
        out.print(failures)
