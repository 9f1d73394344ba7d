"""Other gateways to compare with: which version, how it is installed, and how it is started.

Each is installed into a folder of its own beside the compiled tools, once, and runs as one worker on the gateway's
core, with what it would record or send home switched off. It does not measure: peers go through the same phases as
everything else. Called by the benchmark's command with `--peers`.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .machine import GATEWAY_CORE, BenchError, free_port, need, spawn, stop
from .systems import MODELS, Server, System, Yard

_INSTALL_S, _START_S = 600, 120
_KEY = "sk-bench-0123456789abcdef"


@dataclass(frozen=True)
class Launch:
    """How to start a peer, and how to ask it. `port` 0: it prints `port N` to say which it took."""

    command: list[str]
    env: dict[str, str]
    port: int
    path: str = "/v1/chat/completions"
    prefix: str = ""
    headers: tuple[str, ...] = ()
    mark: str = "[DONE]"

    def server(self, process: subprocess.Popen[bytes], port: int, start_s: float) -> Server:
        return Server(process, port, start_s, self.headers, self.path, self.prefix, self.mark)


@dataclass(frozen=True)
class Peer:
    """`paced`: the numbers of paced streams it is measured at, which it must keep up with. `most`: where the search
    for its most streams begins. `requirements` are pip's, or npm's if they begin with `@`."""

    name: str
    version: str
    requirements: tuple[str, ...]
    launch: Callable[[Path, Path, int], Launch]
    paced: tuple[int, ...] = (20, 100)
    most: int = 250

    @property
    def npm(self) -> bool:
        return self.requirements[0].startswith("@")

    def folder(self, tools: Path) -> Path:
        return tools / "peers" / f"{self.name.lower()}-{self.version}"


def _tensorzero(folder: Path, home: Path, mock: int) -> Launch:
    """Its Rust core as the wheel brings it: an HTTP server within a Python process that does nothing else."""
    config = home / "tensorzero.toml"
    config.write_text(
        "[gateway]\nobservability.enabled = false\n"
        + "".join(
            f'[models."{model}"]\nrouting = ["mock"]\n[models."{model}".providers.mock]\ntype = "openai"\n'
            f'model_name = "{model}"\napi_base = "http://127.0.0.1:{mock}/v1/"\napi_key_location = "env::MOCK_KEY"\n'
            for model in MODELS
        )
    )
    program = (
        "import signal, sys, openai, tensorzero\n"
        "client = openai.OpenAI(api_key='none')\n"
        "tensorzero.patch_openai_client(client, config_file=sys.argv[1], async_setup=False)\n"
        "print('port', client.base_url.port, flush=True)\n"
        "signal.pause()\n"
    )
    return Launch(
        [str(folder / "bin/python"), "-c", program, str(config)],
        {"MOCK_KEY": "none", "TOKIO_WORKER_THREADS": "1"},
        port=0,
        path="/openai/v1/chat/completions",
        prefix="tensorzero::model_name::",
    )


def _litellm(folder: Path, home: Path, mock: int) -> Launch:
    upstream = {"api_base": f"http://127.0.0.1:{mock}/v1", "api_key": "none"}
    config = {
        "model_list": [
            {"model_name": model, "litellm_params": {"model": f"openai/{model}", **upstream}} for model in MODELS
        ],
        "litellm_settings": {"drop_params": True, "telemetry": False, "num_retries": 0},
        "general_settings": {"disable_spend_logs": True},
    }
    (home / "litellm.yaml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    command = [str(folder / "bin/litellm"), "--config", "litellm.yaml", "--num_workers", "1"]
    env = {
        "LITELLM_MASTER_KEY": _KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
    }
    headers = (f"Authorization: Bearer {_KEY}",)
    return Launch([*command, "--host", "127.0.0.1", "--port", str(port)], env, port, headers=headers)


def _portkey(folder: Path, home: Path, mock: int) -> Launch:
    port = free_port()
    program = str(folder / "node_modules/@portkey-ai/gateway/build/start-server.js")
    headers = (
        "Authorization: Bearer none",
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: http://127.0.0.1:{mock}/v1",
    )
    env = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1", "NODE_ENV": "production"}
    return Launch([need("node", "nodejs"), program, f"--port={port}", "--headless"], env, port, headers=headers)


def _mlflow(folder: Path, home: Path, mock: int) -> Launch:
    upstream = {"openai_api_key": "none", "openai_api_base": f"http://127.0.0.1:{mock}/v1"}
    endpoints = [
        {
            "name": model,
            "endpoint_type": "llm/v1/chat",
            "model": {"provider": "openai", "name": model, "config": upstream},
        }
        for model in MODELS
    ]
    (home / "mlflow.yaml").write_text(json.dumps({"endpoints": endpoints}))
    port = free_port()
    command = [str(folder / "bin/mlflow"), "gateway", "start", "--config-path", "mlflow.yaml", "--workers", "1"]
    env = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    # Its streams have no [DONE].
    return Launch([*command, "--port", str(port)], env, port, mark='"finish_reason":"stop"')


PEERS = {
    peer.name.lower(): peer
    for peer in (
        Peer("TensorZero", "2026.6.0", ("tensorzero==2026.6.0", "openai"), _tensorzero),
        # Above some 25 streams it can't keep the pace, and then its cost per token is another thing.
        Peer("LiteLLM", "1.106.2", ("litellm[proxy]==1.106.2",), _litellm, paced=(20,), most=25),
        Peer("Portkey", "1.15.2", ("@portkey-ai/gateway@1.15.2",), _portkey, most=160),
        Peer("MLflow", "3.17.2", ("mlflow[gateway]==3.17.2",), _mlflow),
    )
}


def install(peer: Peer, tools: Path) -> None:
    """Does nothing where that version lies there complete; what a broken attempt left is removed first."""
    folder, wanted = peer.folder(tools), "\n".join(peer.requirements)
    done = folder / "installed"
    if done.is_file() and done.read_text() == wanted:
        return
    print(f"       installing {peer.name} {peer.version} into {folder}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if peer.npm:
        need("node", "nodejs")
        npm = [need("npm", "npm"), "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder)]
        _run(peer, [*npm, *peer.requirements])
        _let_portkey_stream(folder)
    else:
        uv, python = Path(sys.executable).with_name("uv"), str(folder / "bin/python")
        if not uv.is_file():
            raise BenchError(f"{uv} is missing: scripts/setup makes it")
        _run(peer, [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        _run(peer, [str(uv), "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *peer.requirements])
    done.write_text(wanted)


def _run(peer: Peer, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_INSTALL_S)
        failed, said = done.returncode, done.stderr.strip()[-1500:]
    except subprocess.TimeoutExpired:
        failed, said = 1, f"not done after {_INSTALL_S} s"
    if failed:
        others = " ".join(name for name in PEERS if name != peer.name.lower())
        source = "registry.npmjs.org" if peer.npm else "pypi.org"
        raise BenchError(
            f"{peer.name} could not be installed: {said}\n"
            f"It needs {', '.join(peer.requirements)} from {source}. Without it: scripts/bench --peers {others}"
        )


def _let_portkey_stream(folder: Path) -> None:
    """On Node 20 this version answers every stream with 500: it adds to headers that are read-only."""
    program = folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    broken = ":new Response(p,e)}const Ad="
    mended = ":new Response(p,{status:e.status,headers:new Headers(e.headers)})}const Ad="
    text = program.read_text()
    if text.count(broken) != 1:
        raise BenchError(f"{program}: not the build that _let_portkey_stream() knows")
    program.write_text(text.replace(broken, mended))


@contextmanager
def run_peer(peer: Peer, yard: Yard, mock: Server) -> Iterator[Server]:
    """The peer, when it has answered its first chat."""
    home = yard.directory(peer.name.lower())
    launch = peer.launch(peer.folder(yard.tools), home, mock.port)
    began = time.monotonic()
    # What it writes to its home goes with the run.
    process = spawn(GATEWAY_CORE, launch.command, home / "log", {**launch.env, "HOME": str(home)})
    try:
        while time.monotonic() - began < _START_S and process.poll() is None:
            port = launch.port or _printed_port(home / "log")
            server = launch.server(process, port, time.monotonic() - began)
            if port and _answers(System(peer.name, server, peer=True)):
                break
            time.sleep(0.1)
        else:
            log = (home / "log").read_text(errors="replace")[-1500:]
            raise BenchError(f"{peer.name} did not answer within {_START_S} s; its last words: {log}")
        yield server
    finally:
        stop(process, 3)


def _printed_port(log: Path) -> int:
    found = re.search(r"^port (\d+)$", log.read_text(errors="replace"), re.MULTILINE)
    return int(found[1]) if found else 0


def _answers(system: System) -> bool:
    request = system.plain("mock-256-0ms")
    headers = dict(header.split(": ", 1) for header in system.server.headers) | {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", system.server.port, timeout=10)
    try:
        connection.request("POST", request.path, request.body, headers)
        return request.mark.encode() in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def node_version() -> str:
    return subprocess.run(
        [need("node", "nodejs"), "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
