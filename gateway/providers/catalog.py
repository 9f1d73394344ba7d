"""Which names a family of models (`up/*`) has: what its providers list, asked for once a minute at most.

A provider that lists nothing, or fails, takes no name away: a chat may still name any. Made by router.py; asked for by
GET /v1/models.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from gateway.config.schema import Model, Target
from gateway.errors import ProviderError
from gateway.providers.base import Provider
from gateway.providers.openai import OpenAIProvider

_FRESH_S, _AGAIN_S, _LONGEST_S = 60.0, 10.0, 5.0  # how long a list holds; after a failure; and what one may take
_MOST = 10_000  # names
_log = logging.getLogger("gateway.catalog")


class _Listed:
    """A provider's newest list. `until`: when it is asked for again, in loop time."""

    def __init__(self) -> None:
        self.names: Sequence[str] = ()
        self.until = 0.0
        self.lock = asyncio.Lock()


class Catalog:
    """The families of one configuration, by what their names begin with, the longest first."""

    def __init__(self, families: Sequence[tuple[str, Model]], providers: Mapping[str, Provider]) -> None:
        self._families, self._providers = families, providers
        self._listed: dict[str, _Listed] = {}

    async def names(self) -> list[str]:
        """Return the names of all families, each once."""
        sources = [(beginning, *_parts(target)) for beginning, model in self._families for target in model.targets]
        sources = [(beginning, name, part[:-1]) for beginning, name, part in sources if part.endswith("*")]
        asked = list(dict.fromkeys(name for _, name, _ in sources))
        listed = dict(zip(asked, await asyncio.gather(*map(self._list, asked)), strict=True))
        found: dict[str, None] = {}
        for beginning, provider, part in sources:
            for name in listed[provider]:
                whole = beginning + name.removeprefix(part)
                if name.startswith(part) and name != part and self._is_of(whole, beginning):
                    found[whole] = None
        return list(found)[:_MOST]

    def _is_of(self, name: str, beginning: str) -> bool:
        """Say whether a name is of the family that begins so, and of none that is nearer."""
        nearest = next(other for other, _ in self._families if name.startswith(other))
        return nearest == beginning and len(name) <= 250 and name.isprintable()

    async def _list(self, name: str) -> Sequence[str]:
        listed = self._listed.setdefault(name, _Listed())
        async with listed.lock:  # who comes meanwhile gets the same list
            provider, now = self._providers[name], asyncio.get_running_loop().time
            if isinstance(provider, OpenAIProvider) and listed.until <= now():
                try:
                    async with asyncio.timeout(_LONGEST_S):
                        listed.names = await provider.models(_LONGEST_S)
                    listed.until = now() + _FRESH_S
                except (ProviderError, TimeoutError) as error:
                    _log.warning("The provider %s didn't list its models: %s", name, getattr(error, "code", "timeout"))
                    listed.until = now() + _AGAIN_S
            return listed.names


def _parts(target: str | Target) -> tuple[str, str]:
    provider, _, name = (target.target if isinstance(target, Target) else target).partition("/")
    return provider, name
