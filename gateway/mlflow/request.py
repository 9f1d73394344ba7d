"""One HTTP request as the handlers of this package see it. A value; made by app.py, which binds the routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import ParamSpec, TypeVar

import msgspec

from gateway.domain.trace import Assessment
from gateway.errors import ContentTooLarge
from gateway.mlflow.imports import Imports
from gateway.mlflow.wire.body import decode
from gateway.mlflow.wire.checks import invalid
from gateway.storage.engine import Engine, Script

P = ParamSpec("P")
T = TypeVar("T")
MAX_BODY = 2_000_000  # bytes, of what has few values
SMALL_BODY = 20_000  # bytes that are decoded on the event loop where they may have many values


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """All that a handler needs: what was asked, by which project, and the store to answer from."""

    store: Engine
    project: str
    now: int  # milliseconds UTC
    params: Mapping[str, str]  # from the path
    query: list[tuple[str, str]]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    imports: Imports
    announce: Callable[[Assessment], None]  # to be called with a person's rating once it is committed

    async def write(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a script that writes little, in the turn of this project. Raise as `Engine.write` does."""
        async with self.imports.write_turn(self.project):
            return await self.store.write(script, *args, **kwargs)

    def search(self, script: Callable[P, Script[T]], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run a script that may read much, in the turn of this project. Raise as `Engine.search` does."""
        return self.store.search(self.project, script, *args, **kwargs)

    def decode(self, kind: type[T]) -> T:
        """Return the JSON body as `kind`. Raise BadRequest, InvalidValue, and ContentTooLarge beyond MAX_BODY bytes."""
        if len(self.body) > MAX_BODY:
            raise ContentTooLarge(f"A body has at most {MAX_BODY:,} bytes here.")
        return decode(self.body, kind)

    async def read_much(self, read: Callable[[Callable[[], None]], T]) -> T:
        """Return what is read of the body, a larger one in a thread and in the turn of this project.

        `read` gets a function to call between its steps. Raise as it does.
        """
        if len(self.body) <= SMALL_BODY:
            return read(lambda: None)
        async with self.imports.turn(self.project, len(self.body)):
            return await self.imports.work(read)

    def query_value(self, name: str, default: str | None = None) -> str:
        """Return a query parameter. Raise InvalidValue where it is missing and has no default."""
        for key, value in self.query:
            if key == name:
                return value
        if default is None:
            invalid(f"Missing value for required parameter '{name}'.")
        return default
