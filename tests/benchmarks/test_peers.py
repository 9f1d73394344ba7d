"""How the benchmark installs and starts other gateways, without any of them: real processes stand in."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from .machine import BenchError, freeze
from .peers import PEERS, Launch, Peer, install, run_peer
from .systems import MODELS, Server, Yard

SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b"~END~" if self.path == "/here" and self.headers["X-Key"] == "k" else b"no"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print("port", server.server_port, flush=True)
server.serve_forever()
"""


def stand_in(program: str) -> Peer:
    def launch(folder: Path, home: Path, mock: int) -> Launch:
        return Launch([sys.executable, "-c", program], {}, 0, path="/here", headers=("X-Key: k",))

    return replace(PEERS["mlflow"], name="Stand-in", launch=launch)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path, tmp_path / "gateway", tmp_path)


def mock() -> Server:
    """Never asked: a stand-in has no upstream."""
    return Server(process=None, port=1)  # type: ignore[arg-type]


def executable(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("name", PEERS)
def test_its_configuration_knows_every_model_and_the_upstream(name: str, tmp_path: Path) -> None:
    """A model it doesn't know would fail only in the middle of a run."""
    launch = PEERS[name].launch(tmp_path / "installed", tmp_path, 4321)
    written = "".join(file.read_text() for file in tmp_path.iterdir()) + " ".join(launch.headers)
    assert "127.0.0.1:4321/v1" in written
    if name != "portkey":  # which takes any model
        assert all(f'"{model}"' in written for model in MODELS)


def test_configurations_are_well_formed(tmp_path: Path) -> None:
    """TOML for TensorZero, JSON (which is YAML) for LiteLLM and MLflow."""
    for peer in PEERS.values():
        peer.launch(tmp_path, tmp_path, 4321)
    assert set(tomllib.loads((tmp_path / "tensorzero.toml").read_text())["models"]) == set(MODELS)
    assert len(json.loads((tmp_path / "litellm.yaml").read_text())["model_list"]) == len(MODELS)
    assert len(json.loads((tmp_path / "mlflow.yaml").read_text())["endpoints"]) == len(MODELS)


def test_a_peer_runs_until_the_end_of_the_block(yard: Yard) -> None:
    """It counts as started when it has answered a chat, on the port that it printed, with its headers and path."""
    with run_peer(stand_in(SERVER), yard, mock()) as server:
        assert server.port > 0
        assert server.start_s > 0
        assert server.process.poll() is None
    assert server.process.poll() is not None


def test_what_a_peer_started_ends_with_it(yard: Yard) -> None:
    """A worker that outlives its parent would go on taking the core's time."""
    child = "import subprocess, sys\nprint('child', subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
    with run_peer(stand_in(child + SERVER), yard, mock()):
        log = next(yard.work.glob("stand-in-*/log")).read_text()
        handle = os.pidfd_open(int(log.split("child ")[1].split()[0]))
    try:
        assert select.select([handle], [], [], 10)[0], "it still runs"
    finally:
        os.close(handle)


def test_a_frozen_peer_can_be_stopped(yard: Yard) -> None:
    """Peers are frozen while others are measured, and the run may end just then."""
    with run_peer(stand_in(SERVER), yard, mock()) as server:
        freeze(server.process.pid, frozen=True)
        stat = Path(f"/proc/{server.process.pid}/stat")
        give_up = time.monotonic() + 10
        while stat.read_text().rsplit(")", 1)[1].split()[0] != "T":
            assert time.monotonic() < give_up
            time.sleep(0.001)
    assert server.process.returncode == -signal.SIGTERM, "it was asked to end, and could"


def test_a_peer_that_ends_at_once_is_an_error_with_its_last_words(yard: Yard) -> None:
    """Who runs the benchmark need not look for its log."""
    with (
        pytest.raises(BenchError, match=r"Stand-in did not answer.*no such model"),
        run_peer(stand_in("raise SystemExit('no such model')"), yard, mock()),
    ):
        pass


def test_what_is_installed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run needs no network, and no tools either."""
    monkeypatch.setenv("PATH", "")
    peer = PEERS["portkey"]
    folder = peer.folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "installed").write_text("\n".join(peer.requirements))
    install(peer, tmp_path)


def test_an_install_that_fails_says_what_it_needs_and_how_to_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next run tries again."""
    executable(tmp_path / "node", "exit 0")
    executable(tmp_path / "npm", "echo 'no route to host' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    for _ in range(2):
        with pytest.raises(BenchError) as failed:
            install(PEERS["portkey"], tmp_path)
        assert "no route to host" in str(failed.value)
        assert "registry.npmjs.org" in str(failed.value)
        assert "--peers tensorzero litellm mlflow" in str(failed.value)


def test_a_missing_tool_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`apt-get install …`, not a traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match="node is missing: apt-get install nodejs"):
        install(PEERS["portkey"], tmp_path)


@pytest.mark.parametrize(("times", "known"), [(1, True), (0, False), (2, False)])
def test_portkey_is_mended_only_if_it_is_the_build_we_know(
    times: int, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replacement in a minified file must hit exactly one place."""
    build = "node_modules/@portkey-ai/gateway/build"
    text = "x" + ":new Response(p,e)}const Ad=" * times
    (tmp_path / "program").write_text(text)
    executable(tmp_path / "node", "exit 0")
    find = 'while [ "$1" != --prefix ]; do shift; done'
    executable(tmp_path / "npm", f'{find}; mkdir -p "$2/{build}"; cp "{tmp_path}/program" "$2/{build}/start-server.js"')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    peer = PEERS["portkey"]
    if not known:
        with pytest.raises(BenchError, match="not the build"):
            install(peer, tmp_path)
        return
    install(peer, tmp_path)
    assert "new Headers(e.headers)" in (peer.folder(tmp_path) / build / "start-server.js").read_text()
    assert (peer.folder(tmp_path) / "installed").is_file()
