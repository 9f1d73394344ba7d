"""Asks each provider of a configuration once, as a chat would be, to see whether address, key and model are right.

A provider that no model names as it is (`up/*` may be all there is) is asked for its list of models instead. Nothing is
recorded. Called by `gateway check --probe`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec

from gateway.config.schema import Config, Model, Target
from gateway.domain.events import Delta
from gateway.domain.ids import new_trace_id
from gateway.domain.messages import ChatRequest
from gateway.domain.trace import Attempt
from gateway.errors import ProviderError
from gateway.providers.openai import OpenAIProvider
from gateway.providers.registry import Registry
from gateway.providers.router import Router
from gateway.wire.redact import redact

_QUESTION = msgspec.Raw(msgspec.json.encode([{"role": "user", "content": "Say OK."}]))


class Probed(msgspec.Struct, frozen=True):
    """How one provider answered: `problem` None means well. `asked`: the target, or the list of models."""

    provider: str
    asked: str
    problem: str | None
    seconds: float


async def probe(config: Config, timeout_s: float) -> list[Probed]:
    """Ask all providers at the same time, each for so long at most, and return their answers in the file's order."""
    registry = Registry(lambda target, attempt: None, lambda target: None)
    router = registry.router(config)
    try:
        return await asyncio.gather(*(_probe(config, registry, router, name, timeout_s) for name in config.providers))
    finally:
        await registry.close()


async def _probe(config: Config, registry: Registry, router: Router, name: str, timeout_s: float) -> Probed:
    model = _model_of(config, name)
    provider = registry.provider(name)
    asked = str(model.targets[0]) if model else "demo/echo"
    start = time.monotonic()
    problem = None
    try:
        async with asyncio.timeout(timeout_s):
            if model is not None:
                await _first_output(router, model)
            elif isinstance(provider, OpenAIProvider):
                asked = "GET /models"
                await provider.models(timeout_s)
    except TimeoutError:
        problem = f"There was no answer within {timeout_s:g} s."
    except ProviderError as error:
        status = f"HTTP {error.upstream_status}" if error.upstream_status else None
        why = ", ".join(filter(None, (status, error.cause)))
        problem = redact(error.message, provider.private) + (f" ({why})" if why else "")
    return Probed(name, asked, problem, time.monotonic() - start)


def _model_of(config: Config, name: str) -> Model | None:
    """Return a model with one target of the provider, the first that is declared; None where a family is all."""
    for model in config.models.values():
        for target in model.targets:
            text = target.target if isinstance(target, Target) else target
            if text.startswith(f"{name}/") and not text.endswith("*"):
                return msgspec.structs.replace(model, targets=(text,), strategy="fallback", retries=0)
    return None


async def _first_output(router: Router, model: Model) -> None:
    """Return once the model has said something; what else it would say isn't waited for. Raise ProviderError."""
    request = ChatRequest(route="probe", model=None, fields={"messages": _QUESTION}, preview="")
    output = _Output()
    attempts: list[Attempt] = []
    answer = asyncio.ensure_future(router.answer(model, request, output, attempts))
    said = asyncio.ensure_future(output.said.wait())
    try:
        await asyncio.wait((answer, said), return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            answer.result()
    finally:
        for task in (answer, said):
            task.cancel()
        await asyncio.gather(answer, said, return_exceptions=True)


class _Output:
    """An answer's way out, which ends here."""

    over_high_water = False

    def __init__(self) -> None:
        self.trace_id = new_trace_id()
        self.said = asyncio.Event()

    def emit(self, events: Sequence[Delta], raw: Sequence[bytes] = ()) -> bool:
        self.said.set()
        return False

    async def drain(self) -> None:
        """Return at once: nobody reads it."""
