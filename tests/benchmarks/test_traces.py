"""The benchmark of the search: what it loads is found by what it asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import traces
from tests.conftest import StartGateway
from tests.support.servers import GatewayProcess


def test_what_is_loaded_is_found(tmp_path: Path) -> None:
    """By the real gateway, a page or all that there are of each kind."""
    gateway = GatewayProcess(tmp_path / "gateway", {"store": {"retention_days": 0}})
    traces.load(gateway.store_path, 1_000)
    with gateway:
        found = {name: traces.ask(gateway, text)[2] for name, text in traces.filters(1_000).items()}
    rated_false = sum(1 for number in range(1_000) if number % 10 < 3 and number % 7 == 0)
    assert found == {
        "newest page": 100,
        "by session": 8,
        "by tag, 2 % of all": 20,
        "by tag, 200 of all": 100,
        "by feedback value": rated_false,
        "by time range": 100,
    }


def test_what_is_fed_is_found(start_gateway: StartGateway) -> None:
    """As MLflow gets it, over its own routes."""
    gateway = start_gateway({"store": {"retention_days": 0}})
    count = traces.feed(gateway, 0.001)
    assert count == 1_000
    found = {name: traces.ask(gateway, text)[2] for name, text in traces.filters(count).items()}
    assert (found["newest page"], found["by session"], found["by tag, 2 % of all"]) == (100, 8, 20)
    assert found["by feedback value"] > 0


def test_percentiles() -> None:
    """Of few times, too."""
    assert traces.percentiles([3.0]) == (3.0, 3.0)
    assert traces.percentiles([float(at) for at in range(40, 0, -1)]) == (21.0, 38.0)


@pytest.mark.parametrize(("p95", "verdict"), [(50.0, "reached"), (50.1, "NOT REACHED")])
def test_the_table_says_whether_the_goal_was_reached(p95: float, verdict: str) -> None:
    """Beside MLflow's figures."""
    made = traces.table(10, {"newest page": (1.0, p95, 100)}, 5, {"newest page": (2.0, 3.0, 100)}, markdown=True)
    assert made.splitlines()[2] == f"| newest page | 1.0 / {p95} | {verdict} | 2.0 / 3.0 |"
