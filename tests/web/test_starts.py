"""Starts that can't be: one line on stderr, an exit code, and nothing changed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.http_client import ask
from tests.support.servers import GatewayProcess
from tests.web.conftest import CONFIG, works

Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Starts a gateway that must not start; its one line."""

    def start(config: str = "", *args: str, code: int = 1, store: Path | None = None, port: int = 0) -> str:
        process = GatewayProcess(tmp_path / "refused", config, port=port or None, args=args)
        if store is not None:
            process.store_path = store
        done = subprocess.run(
            process.command(), capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path, env=process.env
        )
        assert done.returncode == code, done
        assert done.stderr.startswith("gateway: ")
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stderr + done.stdout
        assert "listens on" not in done.stdout
        return done.stderr

    return start


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[server]\nprot = 8000", "$.server.prot"),
        ('[server]\ndrain_s = "long"', "$.server.drain_s"),
        ('[models.default]\ntargets = ["nobody/x"]', "$.models.default.targets"),
        ("[feedback.dimensions.tone]\nmin = 5\nmax = 1", "$.feedback.dimensions.tone"),
    ],
)
def test_a_config_with_a_mistake(refused: Refused, text: str, path: str) -> None:
    """Exit 2 and the path of the bad key."""
    assert path in refused(text, code=2)


@pytest.mark.parametrize("text", ["[server", "\udcff"])
def test_a_config_that_is_no_toml(refused: Refused, tmp_path: Path, text: str) -> None:
    """The file is named."""
    directory = tmp_path / "refused"
    directory.mkdir()
    bad = tmp_path / "bad.toml"
    bad.write_bytes(os.fsencode(text))
    assert "bad.toml" in refused("", "--config", str(bad), code=2)


@pytest.mark.parametrize("same_port", [False, True])
def test_a_second_server_on_the_store(edge: GatewayProcess, refused: Refused, same_port: bool) -> None:
    """It is told who holds it, and the first goes on."""
    before = edge.store.traces()
    line = refused(store=edge.store_path, port=edge.port if same_port else 0)
    assert f"is in use by process {edge.pid} (started" in line
    assert works(edge)
    assert len(edge.store.traces()) == len(before) + 1


def test_a_port_in_use(edge: GatewayProcess, refused: Refused) -> None:
    """By something that isn't this store's gateway. The address is named, and no store is made."""
    line = refused(port=edge.port)
    assert f"127.0.0.1:{edge.port}" in line
    assert works(edge)


def test_a_store_that_is_no_database(refused: Refused, tmp_path: Path) -> None:
    """It stays as it is."""
    path = tmp_path / "notes.db"
    path.write_text("these are my notes, and they are longer than the head of a database. " * 100)
    before = path.read_bytes()
    assert "notes.db" in refused(store=path)
    assert path.read_bytes() == before


def test_a_store_of_a_newer_version(refused: Refused, tmp_path: Path) -> None:
    """An older gateway leaves it alone."""
    with GatewayProcess(tmp_path / "first", CONFIG) as gateway:
        ask(gateway)
    with closing(sqlite3.connect(gateway.store_path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version + 1}")
    assert "newer" in refused(store=gateway.store_path)
    assert len(gateway.store.traces()) == 1


def test_a_store_that_is_read_only(refused: Refused, tmp_path: Path) -> None:
    """Nothing is served that could not be kept. (To root, no mode is read-only; a full device is to everybody.)"""
    if os.geteuid() == 0:
        assert "full" in refused(store=Path("/dev/full"))
        return
    directory = tmp_path / "locked"
    directory.mkdir(mode=0o500)
    refused(store=directory / "g.db")


@pytest.mark.parametrize("url", ["postgres://x/y", "sqlite://"])
def test_a_store_of_another_kind(refused: Refused, url: str) -> None:
    """With an example of a right one."""
    assert "sqlite:///" in refused("", "--store", url, code=2)


@pytest.mark.parametrize(
    ("config", "args"),
    [("", ["--host", "0.0.0.0"]), ('[auth]\nrequire_keys = "always"', [])],  # noqa: S104 - it doesn't start
)
def test_keys_required_and_none_there(refused: Refused, config: str, args: list[str]) -> None:
    """The line has the command that makes one."""
    assert "gateway keys create --role admin" in refused(config, *args)


def test_an_address_that_is_not_ours(refused: Refused) -> None:
    """Or no address at all."""
    assert "192.0.2.1" in refused('[auth]\nrequire_keys = "never"', "--host", "192.0.2.1")
    assert "nowhere.invalid" in refused('[auth]\nrequire_keys = "never"', "--host", "nowhere.invalid")
