"""A chaos upstream on a real socket for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway import chaos


@pytest.fixture
async def server() -> AsyncIterator[chaos.ChaosServer]:
    running = await chaos.start()
    yield running
    await running.close()
