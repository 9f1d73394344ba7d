"""`gateway conformance`: tries any gateway that speaks OpenAI's API with the chaos cases. Called by the CLI.

It starts the chaos upstream, which the gateway must have as its provider, asks for every model in every form (stream
and plain, to the end and leaving), and prints what passes and what doesn't. It looks at what every gateway shows.
Where the gateway is this one (its answers bear X-Trace-Id), each trace must also exist and take a rating. It doesn't
judge the answers: verdict.py does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from gateway.chaos import server
from gateway.chaos.case import Case, Expect
from gateway.chaos.cases import CASES, case_for
from gateway.chaos.client import Client
from gateway.chaos.probe import Observed, probe
from gateway.chaos.verdict import leaks, problems, summary
from gateway.errors import ProviderError

GRACE_S = 5.0  # seconds between a client's end and the moment when the provider must have been released
SEQUENTIAL = ("flaky", "stale", "close-idle")  # one request changes the next one's answer: played last, one at a time
PARALLEL = 8
FORMS = ("stream", "plain", "stream, left", "plain, left")


class Options(msgspec.Struct, frozen=True):
    """Hold the command line's options. `timeout` is in seconds."""

    target: str
    key: str | None = None
    prefix: str = ""
    host: str = "127.0.0.1"
    port: int = 8001
    timeout: float = 90.0
    only: tuple[str, ...] = ()
    as_json: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """The result of one case in one form."""

    case: str
    form: str
    good: bool
    expected: str
    seen: str
    problems: list[str]


def main(options: Options) -> int:
    """Run the command, and return its exit code.

    It is 1 where a case failed or the gateway can't be tried, 2 for an unknown case or a target that is no URL. Raises
    OSError where the upstream can't listen.
    """
    cases = [CASES.get(name) or case_for(name) for name in options.only or CASES]
    if None in cases:
        sys.stderr.write("gateway conformance: There is no such case. `gateway chaos` lists them.\n")
        return 2
    if not _is_url(options.target):
        sys.stderr.write("gateway conformance: --target must be an http:// or https:// URL.\n")
        return 2
    return asyncio.run(run_and_print(options, [case for case in cases if case is not None]))


def _is_url(target: str) -> bool:
    try:
        address = urlsplit(target)
        return address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # the port is no number
        return False


def example_config(base_url: str, seconds: float = 2) -> str:
    """Return a config.toml for this gateway: every chaos model, with timeouts short enough for a run of a minute."""
    limits = f"connect_timeout_s = 2\nfirst_token_timeout_s = {seconds}\nidle_timeout_s = {seconds}\n"
    limits += f"total_timeout_s = {4 * seconds}\n"
    models = (f'[models.{name}]\ntargets = ["chaos/{name}"]\n{limits}' for name in CASES)
    return "\n".join([f'[providers.chaos]\nbase_url = "{base_url}"\napi_key = "sk-for-chaos-only"\n', *models])


async def run_and_print(options: Options, cases: list[Case]) -> int:
    """Try the cases, print the verdicts, and return the exit code."""
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
    """Return the verdicts, or the reason why the gateway can't be tried."""
    upstream = await server.start(options.host, options.port)
    notes = notes or Console(stderr=True, quiet=True)
    try:
        _explain(upstream, options, notes)
        trial = _Trial(upstream, options)
        return await trial.why_unfit() or await _all(trial, cases, notes)
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


class _Trial:
    """One gateway under test, with the chaos upstream behind it."""

    def __init__(self, upstream: server.ChaosServer, options: Options) -> None:
        self._upstream, self._options = upstream, options
        self._client = Client(options.target.rstrip("/").removesuffix("/v1"), options.key)
        self._traced = False  # the gateway gives trace IDs, so it is this one

    async def why_unfit(self) -> str | None:
        """Return the reason why the gateway can't be tried, or None."""
        observed = await self._probe("ok", stream=False)
        if not self._upstream.stats.by_model["ok"]:
            return f"The chaos upstream wasn't asked. The gateway's answer: {summary(observed)}."
        if observed.status != 200:
            return f"The gateway can't even pass on a good answer: {summary(observed)}."
        self._traced = observed.trace_id is not None
        return None

    async def play(self, case: Case, form: str) -> Verdict:
        """Play one case in one form, and return the verdict."""
        stream, leaves = form.startswith("stream"), form.endswith("left")
        observed = await self._probe(case.name, stream=stream, leaves=leaves)
        expect = self._expected(case, stream)
        found = []
        if not leaves:
            found = problems(observed, expect, name=case.name, stream=stream)
            found += leaks(observed, self._upstream.port, self._keys())
        if not await self._released(case.name):
            found.append(f"the provider's reply was still read {GRACE_S:g} s after the client's end")
        if self._traced and observed.status:
            found += await self._trace_problems(observed)
        expected = "the provider is let go" if leaves else str(expect)
        return Verdict(case.name, form, not found, expected, summary(observed), found)

    def _expected(self, case: Case, stream: bool) -> Expect:
        """Return what is expected of the mode that the provider was asked for.

        A gateway may ask for a stream in order to give a plain answer.
        """
        for request in reversed(self._upstream.stats.last):
            with contextlib.suppress(msgspec.MsgspecError):
                body = request.json()
                if isinstance(body, dict) and body.get("model") == case.name:
                    return (case.stream if body.get("stream") is True else case.plain).expect
        return (case.stream if stream else case.plain).expect

    async def _probe(self, name: str, *, stream: bool, leaves: bool = False) -> Observed:
        asked = self._upstream.stats.by_model[name]

        async def until_asked() -> None:
            while self._upstream.stats.by_model[name] == asked:  # noqa: ASYNC110 - a counter of the upstream's
                await asyncio.sleep(0.01)

        return await probe(
            self._client,
            self._options.prefix + name,
            stream=stream,
            timeout=self._options.timeout,
            until_asked=until_asked if leaves else None,
        )

    async def _released(self, name: str) -> bool:
        deadline = time.monotonic() + GRACE_S
        while self._upstream.stats.running[name]:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    def _keys(self) -> set[str]:
        """Return the keys that the gateway sends to its provider, without the client's own."""
        values = (request.header("authorization") or "" for request in self._upstream.stats.last)
        return {value.removeprefix("Bearer ") for value in values} - {"", self._options.key}

    async def _trace_problems(self, observed: Observed) -> list[str]:
        """Return what is wrong with the answer's trace: this gateway stores each, and each can be rated."""
        if observed.trace_id is None:
            return ["no X-Trace-Id"]
        rating = _Status()
        path = f"/feedback?{urlencode({'trace_id': observed.trace_id})}"
        try:
            async with asyncio.timeout(self._options.timeout):
                await self._client.post(path, {"is_correct": True}, rating.on_head)
        except (ProviderError, OSError) as problem:
            return [f"a rating of the trace gets {type(problem).__name__}"]
        return [] if rating.status == 200 else [f"a rating of the trace gets {rating.status}"]


class _Status:
    """Keeps a response's status, and reads on to its end."""

    done = False
    status = 0

    def on_head(self, status: int, headers: Mapping[str, str]) -> _Status:
        self.status = status
        return self

    def feed(self, data: bytes) -> bool:
        return False

    async def drain(self) -> None:
        """Return at once: nothing is kept."""


async def _all(trial: _Trial, cases: list[Case], notes: Console) -> list[Verdict]:
    found: dict[str, list[Verdict]] = {}
    slots = asyncio.Semaphore(PARALLEL)
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        bar = progress.add_task("conformance", total=len(cases) * len(FORMS))

        async def play(case: Case) -> None:
            async with slots:
                verdicts = found[case.name] = []
                for form in FORMS:
                    progress.update(bar, description=f"{case.name} ({form})")
                    verdicts.append(await trial.play(case, form))
                    progress.advance(bar)

        async with asyncio.TaskGroup() as group:
            for case in cases:
                if not case.name.startswith(SEQUENTIAL):
                    group.create_task(play(case))
        for case in cases:
            if case.name.startswith(SEQUENTIAL):
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
