"""Fixtures that every test may use: a real gateway, as many as wanted, and the chaos upstream."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.servers import GatewayProcess, ServerProcess

StartGateway = Callable[..., GatewayProcess]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the heavy peers too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    heavy = [item for item in items if item.get_closest_marker("full")]
    if heavy:
        config.hook.pytest_deselected(items=heavy)
        items[:] = [item for item in items if item not in heavy]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a test fails, show what its servers said."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, ServerProcess):
                report.sections.append((f"output of {value.name} on port {value.port}", value.output()))
    return report


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """`start_gateway(config, args=…, env=…)` starts one; all of them are ended with the test."""
    with ExitStack() as stack:
        started = 0

        def start(config: Mapping[str, Any] | str | None = None, **options: Any) -> GatewayProcess:
            nonlocal started
            started += 1
            process = GatewayProcess(tmp_path / f"gateway-{started}", config, **options)
            return stack.enter_context(process)

        yield start


@pytest.fixture
def gateway(start_gateway: StartGateway) -> GatewayProcess:
    """A gateway of this test's own, without configuration: the demo model answers."""
    return start_gateway()


@pytest.fixture
async def chaos() -> AsyncIterator[Any]:
    """The chaos upstream inside the test's own loop: `.url`, `.port`, `.stats`."""
    upstream = await importlib.import_module("gateway.chaos").start("127.0.0.1", 0)
    try:
        yield upstream
    finally:
        await upstream.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """A store of this test's own, opened as its server would."""
    opened = await SQLiteStore.open(tmp_path / "gateway.db", own=True)
    try:
        yield opened
    finally:
        await opened.close()
