"""What every route reads, from the product's own tables, so that a new route is known without a line here.

The native routes' fields are those that /openapi.json has; MLflow's are found by asking each handler of ENDPOINTS what
it reads.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from typing import Any
from unittest import mock

import msgspec

from gateway.mlflow import request as mlflow
from gateway.mlflow import wire
from gateway.mlflow.routes import ENDPOINTS, Endpoint
from gateway.mlflow.wire import body
from gateway.mlflow.wire.errors import OTLP
from gateway.web.openapi import DESCRIBED
from gateway.web.routes import ROUTES


class Target(msgspec.Struct, frozen=True):
    """One route and what it reads. `endless`: its client has to leave."""

    method: str
    path: str
    body: tuple[Any, ...] = ()
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    endless: bool = False
    raw: str = ""  # a body that is no JSON of a type: otlp, file


def targets() -> list[Target]:
    """Every route of the product."""
    found = []
    for route in ROUTES:
        about = DESCRIBED[route.method, route.path]
        found.append(
            Target(
                route.method, route.path, about.body, about.query, (*about.headers, "X-Tag-Odd"),
                endless=route.path == "/events",
            )
        )  # fmt: skip
    return found + [_probe(endpoint) for endpoint in ENDPOINTS]


class _Stop(Exception):
    pass


class _Spy(str):
    """A query parameter's name that notes what it is compared with. `there`: each one asked for is given."""

    seen: list[str] = []
    there = False

    def __eq__(self, other: object) -> bool:
        self.seen.append(str(other))
        return self.there

    __hash__ = str.__hash__


class _Headers(dict[str, str]):
    def __init__(self) -> None:
        super().__init__({"content-type": "application/json"})
        self.seen: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        self.seen.append(key)
        return super().get(key, "abc" if key.startswith("x-") else default)


def _probe(endpoint: Endpoint) -> Target:
    """Ask a handler what it reads, by letting it read."""
    kinds: list[Any] = []
    headers = _Headers()
    _Spy.seen = []

    def decode(body: bytes, kind: Any) -> Any:
        kinds.append(kind)
        raise _Stop

    def stop(*_: Any) -> Any:
        raise _Stop

    fields: dict[str, Any] = {name: mock.Mock() for name in mlflow.Request.__struct_fields__}
    fields |= {"store": mock.Mock(read=stop, write=stop, search=stop), "project": "default", "now": 1, "body": b"{}"}
    fields |= {"params": _Params(), "query": [(_Spy("q"), "1")], "headers": headers, "imports": _Imports()}
    with contextlib.ExitStack() as stack:
        for module in _DECODING:
            stack.enter_context(mock.patch.object(module, "decode", decode))
        for _Spy.there in (True, False):  # one may be asked for only where another one is there, or isn't
            with contextlib.suppress(Exception):
                endpoint.handler(mlflow.Request(**fields)).send(None)  # type: ignore[attr-defined]
    raw = "otlp" if endpoint.wire is OTLP else "file" if endpoint.any_type else ""
    return Target(
        endpoint.method, endpoint.path, tuple(dict.fromkeys(kinds)), tuple(dict.fromkeys(_Spy.seen)),
        tuple(dict.fromkeys(name for name in headers.seen if name.startswith("x-"))), raw=raw,
    )  # fmt: skip


class _Imports:
    """Takes every turn at once, and works where it is asked."""

    def turn(self, *_: Any) -> contextlib.AsyncExitStack:
        return contextlib.AsyncExitStack()

    write_turn = turn

    async def work(self, read: Any) -> Any:
        return read(None)


_WIRES = [importlib.import_module(f"{wire.__name__}.{each.name}") for each in pkgutil.iter_modules(wire.__path__)]
_DECODING = [module for module in (mlflow, *_WIRES) if getattr(module, "decode", None) is body.decode]


class _Params(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "abc"
