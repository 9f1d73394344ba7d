"""docs/operations.md: its recipes are run as they are written, against a gateway under load."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.storage.scripts.export import FILTERS
from tests.conftest import StartGateway
from tests.support.http_client import ask, call
from tests.support.servers import GatewayProcess

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def recipe(name: str) -> str:
    """The block of shell that bears this name."""
    (found,) = re.findall(rf"^```sh {name}\n(.*?)^```", PAGE.read_text(), re.S | re.M)
    return str(found)


def follow(name: str, directory: Path) -> None:
    made = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", recipe(name)], cwd=directory, capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stderr) == (0, "")


class Load:
    """Chats and ratings, one after the other in each of a few threads; `acknowledged` grows with each 2xx."""

    def __init__(self, gateway: GatewayProcess, threads: int = 3) -> None:
        self.acknowledged: list[str] = []
        self.failures: list[Any] = []
        self._gateway = gateway
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while not self._over.is_set():
            try:
                trace_id = ask(self._gateway, message="How are you? " * 50)["trace_id"]
                rated = call(self._gateway, "POST", f"/feedback?trace_id={trace_id}", {"is_correct": True})
                assert rated.status == 200, rated.body
                self.acknowledged.append(rated.json["assessment_id"])
            except Exception as error:
                self.failures.append(error)
                return

    def wait_for(self, more: int) -> None:
        """Until so many more were acknowledged."""
        wanted, deadline = len(self.acknowledged) + more, time.monotonic() + 30
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline
            assert not self.failures
            time.sleep(0.01)

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)


def ids(path: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return {row[0] for row in connection.execute("SELECT assessment_id FROM assessments")}


def test_backup_and_restore(start_gateway: StartGateway) -> None:
    """Under load nobody is held up; every rating acknowledged before is in it; what is restored goes on."""
    gateway = start_gateway({"models": {"default": {"targets": ["demo/lorem-3-0ms"]}}})
    load = Load(gateway)
    try:
        load.wait_for(50)
        before = set(load.acknowledged)
        follow("backup", gateway.directory)
        follow("backup", gateway.directory)  # the next day's replaces it
        load.wait_for(50)
    finally:
        load.end()
    assert load.failures == []
    saved = ids(gateway.directory / "backup.db")
    assert before <= saved < set(load.acknowledged)

    gateway.kill()
    with gateway.store_path.open("r+b") as damaged:
        damaged.write(b"\0" * 10_000)
    follow("restore", gateway.directory)
    gateway.start()
    assert gateway.store.integrity() == "ok"
    assert ids(gateway.store_path) == saved
    assert ask(gateway)["response"]
    assert gateway.run("report").returncode == 0
    assert (gateway.directory / "damaged" / "gateway.db").exists()


def commands() -> list[str]:
    """Lines of the page that call the gateway, without what a pipe makes of them."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.S | re.M)
    lines = [line for block in blocks for line in block.splitlines()]
    return [re.split(r"\s[|#]", line)[0] for line in lines if line.startswith("gateway ")]


@pytest.mark.parametrize("line", commands())
def test_commands_on_the_page_are_good_usage(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They fail for want of a store here, not for what they say."""
    monkeypatch.chdir(tmp_path)
    argv = line.split()[1:]
    assert main([*argv, "--yes"] if argv[0] == "erase" else argv) == 1
    assert "there is no such file" in capsys.readouterr().err


def test_the_page_names_every_filter() -> None:
    """And nothing else."""
    text = PAGE.read_text()
    for what, filters in FILTERS.items():
        (line,) = re.findall(rf"^- {what}: (.*)$", text, re.M)
        assert re.findall(r"`(\w+)`", line) == list(filters)


def test_the_metrics_on_the_page_exist(start_gateway: StartGateway) -> None:
    """By these names."""
    gateway = start_gateway()
    shown = call(gateway, "GET", "/metrics").body.decode()
    for name in re.findall(r"^\| `(gateway_\w+)`", PAGE.read_text(), re.M):
        assert re.search(rf"^{name}(_total)? ", shown, re.M), name
