"""The declared providers, made from the configuration, and the router over them. Made by app.py.

A provider whose declaration doesn't change keeps its connections when the configuration is reloaded.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.config.schema import Config
from gateway.config.schema import Provider as Declaration
from gateway.domain.trace import Attempt
from gateway.providers.base import Provider
from gateway.providers.demo import DemoProvider
from gateway.providers.openai import OpenAIProvider
from gateway.providers.router import Router


class Registry:
    """`attempted` and `cooled` are the router's: they hear of each call to a provider and of each cooldown."""

    def __init__(self, attempted: Callable[[str, Attempt], None], cooled: Callable[[str], None]) -> None:
        self._attempted, self._cooled = attempted, cooled
        self._known: dict[str, tuple[Declaration, Provider]] = {}
        self._retired: list[Provider] = []

    def router(self, config: Config) -> Router:
        """Return a router over the providers that `config` declares, and keep those for the next configuration."""
        known: dict[str, tuple[Declaration, Provider]] = {}
        for name, declared in config.providers.items():
            before = self._known.get(name)
            known[name] = before if before and before[0] == declared else (declared, _made(declared))
        # Running chats go on with the providers they began with, so that these are closed only at the end.
        self._retired += [each[1] for name, each in self._known.items() if known.get(name) is not each]
        self._known = known
        providers = {name: provider for name, (_, provider) in known.items()}
        return Router(config, providers, self._attempted, self._cooled)

    def provider(self, name: str) -> Provider:
        """Return a provider of the newest configuration."""
        return self._known[name][1]

    async def close(self) -> None:
        """Close all connections."""
        for provider in [*self._retired, *(provider for _, provider in self._known.values())]:
            await provider.close()


def _made(declared: Declaration) -> Provider:
    return DemoProvider() if declared.kind == "demo" else OpenAIProvider(declared)
