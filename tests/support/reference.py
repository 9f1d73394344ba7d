"""The OpenAI-compatible servers behind the gateway that this project did not write, installed on first use.

aimock (Node, 12 MB, one package without dependencies) serves in every run; LiteLLM's proxy (700 MB) only under
`--full`. Both are pinned, and kept in `.cache/` of the checkout. `python -m tests.support.reference` installs aimock.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from tests.support.servers import ServerProcess

HERE = Path(__file__).parents[1] / "e2e"
CACHE = HERE.parent.parent / ".cache"
LITELLM = "litellm[proxy]==1.106.2"
KEY = "sk-reference"


def need(program: str, package: str) -> str:
    """Its path; or a failure that says where to get it."""
    found = shutil.which(program)
    if found is None:
        raise RuntimeError(f"{program} is missing, and the end-to-end tests need it: install {package}")
    return found


def node() -> str:
    return need("node", "Node.js 20 or newer (https://nodejs.org, or `apt install nodejs npm`)")


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One installer at a time, whoever else runs the tests in this checkout."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str, cwd: Path, timeout: float) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def install_aimock() -> Path:
    """The script to run. The lock file beside this module pins version and checksum."""
    directory = CACHE / "e2e-node"
    with _locked(directory):
        lock = (HERE / "package-lock.json").read_text()
        stamp = directory / "installed.json"
        if not stamp.exists() or stamp.read_text() != lock:
            npm = need("npm", "npm, which comes with Node.js 20 or newer")
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, directory / name)
            _run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=directory, timeout=300)
            stamp.write_text(lock)
    return directory / "node_modules/@copilotkit/aimock/dist/cli.js"


def install_litellm() -> Path:
    """The command of LiteLLM's proxy, in an environment of its own."""
    directory = CACHE / "e2e-litellm"
    with _locked(directory):
        stamp = directory / "installed.txt"
        if not stamp.exists() or stamp.read_text() != LITELLM:
            shutil.rmtree(directory / "venv", ignore_errors=True)
            _run(sys.executable, "-m", "venv", "venv", cwd=directory, timeout=120)
            pip = str(directory / "venv/bin/pip")
            _run(pip, "install", "-q", "--disable-pip-version-check", LITELLM, cwd=directory, timeout=1200)
            stamp.write_text(LITELLM)
    return directory / "venv/bin/litellm"


class ReferenceProcess(ServerProcess):
    """A server that speaks OpenAI's API at `base_url`, and takes KEY."""

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


class AimockProcess(ReferenceProcess):
    """aimock with the fixtures of aimock.json: which words in a message get which answer."""

    name = "aimock"
    ready_path = "/ready"
    # any name is a model here; those that fail have their own, so that a failure can't cool the others down
    models: ClassVar = ("gpt-4o", "o3", "text-embedding-3-small", "cut", *(f"refuse-{s}" for s in (400, 401, 429, 500)))

    def command(self) -> list[str]:
        options = ("-h", "127.0.0.1", "-p", str(self.port), "--log-level", "warn", "-f", str(HERE / "aimock.json"))
        return [node(), str(install_aimock()), *options]


class LiteLLMProcess(ReferenceProcess):
    """LiteLLM's proxy with the mock models of litellm.yaml."""

    name = "litellm"
    ready_path = "/health/liveliness"
    models: ClassVar = ("text", "tools", "embed", "limit")

    def command(self) -> list[str]:
        options = ("--host", "127.0.0.1", "--port", str(self.port), "--telemetry", "False")
        return [str(install_litellm()), "--config", str(HERE / "litellm.yaml"), *options]


if __name__ == "__main__":
    print(install_aimock())
