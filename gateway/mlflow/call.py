"""One request as the handlers of this package see it, and the replies that aren't JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from gateway.domain.trace import Assessment
from gateway.mlflow.wire.body import decode
from gateway.mlflow.wire.errors import invalid
from gateway.storage.engine import Engine

T = TypeVar("T")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """`announce` hears of a person's rating once it is committed."""

    store: Engine
    project: str
    now: int
    params: Mapping[str, str]
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes
    max_bytes: int
    announce: Callable[[Assessment], None]

    def read(self, kind: type[T]) -> T:
        """The body as JSON."""
        return decode(self.body, kind)

    def one(self, name: str, default: str | None = None) -> str:
        """A query parameter. InvalidValue where it is missing."""
        for key, value in self.query:
            if key == name:
                return value
        if default is None:
            invalid(f"Missing value for required parameter '{name}'.")
        return default


class Plain(msgspec.Struct, frozen=True):
    """A reply as it is."""

    body: bytes
    content_type: bytes
