"""Picks the target that answers: in order or by weight, with retries, jittered back-off and cooldown after failures.

Fallback ends with the first token; after it an error is an event in the stream. Each attempt is noted in a list that
becomes the trace's spans. Called by chat.py, once a run.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from gateway.config.schema import Config, Model, Target
from gateway.domain.ids import monotonic_ms, new_span_id
from gateway.domain.messages import ChatRequest
from gateway.domain.trace import Attempt
from gateway.errors import (
    AnswerTooLong,
    NotFound,
    ProviderBusy,
    ProviderError,
    ProviderQuota,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)
from gateway.providers.base import Call, Provider
from gateway.providers.catalog import Catalog
from gateway.providers.reply import TOO_LATE, Output, Reply
from gateway.wire.provider_error import scrub

_LONGEST_WAIT_S = 2.0  # a Retry-After beyond this is somebody else's to wait for
_FAILURES_BEFORE_COOLDOWN = 3
_LONGEST_COOLDOWN_S = 30.0
_MOST_TARGETS = 10_000  # that are remembered: callers choose the names of a family's
_TARGETS_OWN = (402, 404)  # refusals that say nothing of the request: another target may answer it
_log = logging.getLogger("gateway.router")


class Health:
    """Remembers which targets to leave alone for now. Times are loop times."""

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def failed(self, target: str, error: ProviderError, now: float) -> bool:
        """Note a failure. Return True when the target cools down from now on."""
        failures = self._failures.pop(target, 0) + 1
        self._failures[target] = failures
        if len(self._failures) > _MOST_TARGETS:  # the one that failed longest ago goes
            self.worked(next(iter(self._failures)))
        pause = error.retry_after or 0.0
        if failures >= _FAILURES_BEFORE_COOLDOWN:
            pause = max(pause, 2.0 ** (failures - _FAILURES_BEFORE_COOLDOWN))
        if pause:
            self._until[target] = now + min(pause, _LONGEST_COOLDOWN_S)
        return pause > 0

    def worked(self, target: str) -> None:
        self._failures.pop(target, None)
        self._until.pop(target, None)

    def cooling(self, target: str, now: float) -> bool:
        return self._until.get(target, 0.0) > now


class Router:
    """The models of one configuration. `attempted` hears of every attempt's end, `cooled` of each target set aside."""

    def __init__(
        self,
        config: Config,
        providers: Mapping[str, Provider],
        attempted: Callable[[str, Attempt], None],
        cooled: Callable[[str], None],
    ) -> None:
        self.models = {name: model for name, model in config.models.items() if not name.endswith("*")}
        families = {name[:-1]: model for name, model in config.models.items() if name.endswith("*")}
        self._families = sorted(families.items(), key=lambda family: len(family[0]), reverse=True)
        self.catalog = Catalog(self._families, providers)
        first = next(iter(self.models), None if families else "demo/echo")
        self.default = "default" if "default" in self.models else first  # for those who name none; None: they must
        self._max_answer_bytes = config.streaming.max_answer_bytes
        self._providers = providers
        self._attempted, self._cooled = attempted, cooled
        self._health = Health()

    def model(self, name: str | None) -> tuple[str, Model]:
        """Return the model asked for, or else the default one, with its name. Raises NotFound.

        A name that isn't declared as it is belongs to the family (`up/*`) with the longest beginning that it has.
        """
        if name is None and (name := self.default) is None:
            raise NotFound("There is no default model here: name one.", code="model_not_found")
        if name in self.models:
            return name, self.models[name]
        for beginning, family in self._families:
            if name.startswith(beginning) and (rest := name[len(beginning) :]):
                return name, msgspec.structs.replace(family, targets=tuple(_member(t, rest) for t in family.targets))
        if name.startswith("demo/"):
            return name, Model(targets=(name,))
        shown = name if len(name) <= 100 and name.isprintable() else name[:100].encode("unicode_escape").decode()
        raise NotFound(f"There is no model '{shown}' here. GET /v1/models lists them.", code="model_not_found")

    async def answer(self, model: Model, request: ChatRequest, output: Output, attempts: list[Attempt]) -> None:
        """Get an answer from one target and pass it to `output`. Raises ProviderError when none gives a whole one."""
        deadline = asyncio.get_running_loop().time() + model.total_timeout_s
        await self._try(
            model, deadline, lambda target: self._attempt(target, model, request, output, attempts, deadline)
        )

    async def embed(self, model: Model, fields: dict[str, msgspec.Raw]) -> bytes:
        """Return the embeddings from the first target that gives them. Raises ProviderError."""
        deadline = asyncio.get_running_loop().time() + model.total_timeout_s
        replies: list[bytes] = []
        await self._try(model, deadline, lambda target: self._embed(target, model, fields, replies, deadline))
        return replies[0]

    async def _try(
        self, model: Model, deadline: float, attempt: Callable[[str], Awaitable[tuple[ProviderError | None, bool]]]
    ) -> None:
        """Call the targets until one answers. `attempt` returns its error, and whether tokens went out before."""
        loop = asyncio.get_running_loop()
        error: ProviderError | None = None
        for target in self._order(model):
            for attempt_number in range(model.retries + 1):
                if attempt_number:
                    await asyncio.sleep(min(_pause(attempt_number, error), deadline - loop.time()))
                if loop.time() >= deadline:
                    raise ProviderTimeout(TOO_LATE)
                error, started = await attempt(target)
                if error is None:
                    return
                if started or isinstance(error, AnswerTooLong):
                    raise error
                if isinstance(error, ProviderRefused) and error.status not in _TARGETS_OWN:
                    raise error
                if not _worth_retrying(error):
                    break
        raise error or ProviderError("No provider answered.")

    async def _embed(
        self, target: str, model: Model, fields: dict[str, msgspec.Raw], replies: list[bytes], deadline: float
    ) -> tuple[ProviderError | None, bool]:
        """Make one call for embeddings, and add the reply to `replies`. Return as `_attempt` does."""
        provider, _, name = target.partition("/")
        attempt = Attempt(span_id="", provider=provider, model=name, start_ms=monotonic_ms(), error="cancelled")
        error: ProviderError | None = None
        try:
            async with asyncio.timeout_at(deadline):
                replies.append(await self._providers[provider].embed(name, fields, model.connect_timeout_s))
        except TimeoutError:
            error = ProviderTimeout(TOO_LATE)
        except ProviderError as failure:
            error = failure
        self._ended(target, "embeddings", attempt, error, blame=True)
        return error, False

    async def _attempt(
        self,
        target: str,
        model: Model,
        request: ChatRequest,
        output: Output,
        attempts: list[Attempt],
        deadline: float,
    ) -> tuple[ProviderError | None, bool]:
        """Make one call. Return its error if it failed, and whether tokens went out before."""
        provider, _, name = target.partition("/")
        attempt = Attempt(span_id=new_span_id(), provider=provider, model=name, start_ms=monotonic_ms())
        attempts.append(attempt)
        call = Call(
            model=name,
            fields=request.fields,
            stream=request.stream,
            stream_options=request.stream_options,
            connect_timeout_s=model.connect_timeout_s,
            thoughts=request.thoughts,
        )
        timer = asyncio.timeout(None)
        reply = Reply(request, output, attempt, model, timer, self._max_answer_bytes, deadline)
        error: ProviderError | None = None
        attempt.error = "cancelled"  # stays if the caller ends it
        try:
            async with timer:
                await self._providers[provider].chat(call, reply)
            reply.close()
        except TimeoutError:
            error = reply.timed_out()
        except ProviderError as failure:
            error = failure
        finally:
            reply.disarm()
            attempt.model = reply.answered_model or name
            attempt.end_ms = monotonic_ms()
        if error is not None and reply.finished and not isinstance(error, AnswerTooLong):
            error = None  # a finish reason came: what the connection did after it costs nothing
            reply.close()
            reply.disarm()
        self._ended(target, output.trace_id, attempt, error, blame=not reply.too_late)
        return error, reply.started

    def _ended(self, target: str, what: str, attempt: Attempt, error: ProviderError | None, *, blame: bool) -> None:
        """Note how an attempt ended, on itself, in the log and in the target's health."""
        attempt.error = error.code if error else None
        if error is not None:
            scrub(error, self._providers[attempt.provider].private)
            attempt.message, attempt.cause = error.message, error.cause
            attempt.status = error.upstream_status or attempt.status
            attempt.request_id = error.request_id or attempt.request_id
            if blame:
                self._note(target, what, error)
        else:
            self._health.worked(target)
        self._attempted(target, attempt)

    def _note(self, target: str, what: str, error: ProviderError) -> None:
        # The provider's own words may quote what was asked: they are in the trace, not in the log.
        found = (error.upstream_status and f"HTTP {error.upstream_status}", error.cause, error.request_id)
        why = "".join(f", {each}" for each in found if each)
        _log.warning("The target %s failed for %s: %s%s.", target, what, error.code, why)
        if isinstance(error, (ProviderRefused, AnswerTooLong)):
            return  # no fault of the target's
        if self._health.failed(target, error, asyncio.get_running_loop().time()):
            self._cooled(target)

    def _order(self, model: Model) -> list[str]:
        """Return the targets in the order to try. Those that cool down come last, since a bad chance beats none."""
        if len(model.targets) == 1 and isinstance(only := model.targets[0], str):
            return [only]
        targets = [t if isinstance(t, Target) else Target(target=t) for t in model.targets]
        if model.strategy == "weighted":  # Efraimidis and Spirakis: sorting by u^(1/w) draws by weight
            targets.sort(key=lambda t: random.random() ** (1 / t.weight), reverse=True)
        now = asyncio.get_running_loop().time()
        return sorted((t.target for t in targets), key=lambda t: self._health.cooling(t, now))


def _member(target: str | Target, rest: str) -> str | Target:
    """Return a family's target for one of its names, whose `rest` stands for the target's `*`."""
    if isinstance(target, Target):
        return msgspec.structs.replace(target, target=_named(target.target, rest))
    return _named(target, rest)


def _named(target: str, rest: str) -> str:
    return target[:-1] + rest if target.endswith("*") else target


def _worth_retrying(error: ProviderError) -> bool:
    """Return True for what may pass in a moment on the same target. A timeout has cost enough already."""
    if isinstance(error, (ProviderTimeout, ProviderRefused, ProviderQuota)):
        return False
    if isinstance(error, (ProviderBusy, ProviderUnavailable)):
        return error.retry_after is None or error.retry_after <= _LONGEST_WAIT_S
    status = error.upstream_status
    return status is None or status in (408, 409, 425) or status >= 500


def _pause(attempt_number: int, error: ProviderError | None) -> float:
    """Return the seconds before the next try: what the provider asked for, or else a doubling wait with jitter."""
    if error is not None and error.retry_after:
        return error.retry_after
    return min(_LONGEST_WAIT_S, 0.2 * 2.0 ** (attempt_number - 1)) * random.uniform(0.5, 1.0)
