"""Real servers for tests, as processes of their own.

Not a fake of anything: each gateway is `python -m gateway serve` with its own config, port and store file. Every
wait has a time guard, and only the process that was started here is ever signalled.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.store_view import StoreView

START_S = 30.0
STOP_S = 30.0
_TAIL = 6_000


def free_port() -> int:
    """A port nobody listens on, below the range from which the system takes its clients' ports."""
    for _ in range(200):
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port found")


def to_toml(config: Mapping[str, Any]) -> str:
    """Any nesting of dicts, lists, strings, numbers and booleans, as TOML."""
    return "".join(f"{json.dumps(key)} = {_toml_value(value)}\n" for key, value in config.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(key, ensure_ascii=False)} = {_toml_value(v)}" for key, v in value.items())
        return "{" + inner + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def http_status(url: str, timeout: float = 2.0) -> int | None:
    """The status of a GET; None where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as reply:  # noqa: S310  always one of our own http URLs
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


class ServerProcess:
    """One process that answers HTTP. Its output goes to files, and into the message when something fails."""

    name = "server"
    ready_path = "/"

    def __init__(self, directory: Path, port: int | None = None, env: Mapping[str, str] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port() if port is None else port
        self.url = f"http://127.0.0.1:{self.port}"
        self.stdout_path = directory / f"{self.name}.stdout"
        self.stderr_path = directory / f"{self.name}.stderr"
        self.env = {**_clean_environment(), **(env or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} was never started"
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, timeout: float = START_S) -> Self:
        """Start it, and return once it is ready. Its output is appended to that of earlier starts."""
        assert not self.running, f"{self.name} is running"
        with self.stdout_path.open("ab") as out, self.stderr_path.open("ab") as err:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.directory, env=self.env
            )
        try:
            self._wait_ready(timeout)
        except BaseException:
            self.close()
            raise
        return self

    def _wait_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if not self.running:
                raise RuntimeError(f"{self.name} ended with {self.returncode} before it was ready\n{self.output()}")
            if http_status(self.url + self.ready_path) == 200:
                return
            time.sleep(0.03)
        raise TimeoutError(f"{self.name} was not ready after {timeout} s\n{self.output()}")

    @property
    def returncode(self) -> int | None:
        return None if self.process is None else self.process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send it without waiting for what follows."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_S) -> int:
        """Its exit code. In an async test run it by `asyncio.to_thread`, so that open streams go on."""
        assert self.process is not None
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} is still there after {timeout} s\n{self.output()}") from None

    def terminate(self, timeout: float = STOP_S) -> int:
        """SIGTERM; returns the exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> int:
        """SIGKILL; returns once it is gone."""
        if self.running:
            self.signal(signal.SIGKILL)
        return self.wait()

    def restart(self, timeout: float = START_S) -> Self:
        """Start it again on the same port and files; end it first if it still runs."""
        if self.running:
            self.terminate()
        return self.start(timeout)

    def close(self) -> None:
        """End it, whatever it takes."""
        if self.process is None:
            return
        if self.running:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        self.process.wait(STOP_S)

    def output(self) -> str:
        """The end of what it wrote, for messages."""
        parts = []
        for path in (self.stdout_path, self.stderr_path):
            text = path.read_text(errors="replace") if path.exists() else ""
            parts.append(f"--- {path.name} ---\n{text[-_TAIL:]}")
        return "\n".join(parts)

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if error is not None:
            error.add_note(self.output())


class GatewayProcess(ServerProcess):
    """`python -m gateway serve` with its own config and store file under `directory`.

    `config` is TOML text or a dict of the same shape; without one the built-in demo model answers.
    """

    name = "gateway"
    ready_path = "/readyz"

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any] | str | None = None,
        *,
        port: int | None = None,
        args: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(directory, port, env)
        self.config_path = directory / "config.toml"
        self.store_path = directory / "gateway.db"
        self.args = tuple(args)
        self.write_config(config or {})

    def write_config(self, config: Mapping[str, Any] | str) -> None:
        """Replace the config file, in one step, as an editor does."""
        text = config if isinstance(config, str) else to_toml(config)
        fresh = self.config_path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.config_path)

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "gateway", "serve", "--config", str(self.config_path)),
            *("--host", "127.0.0.1", "--port", str(self.port), "--store", f"sqlite:///{self.store_path}"),
            *self.args,
        ]

    def run(self, *args: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Another command of the CLI with the same config and store, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "gateway", *args, "--config", str(self.config_path)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=self.directory,
            env={**self.env, "GATEWAY_STORE__URL": f"sqlite:///{self.store_path}"},
        )

    @property
    def store(self) -> StoreView:
        return StoreView(self.store_path)

    def log_lines(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout: one per finished request, one per rating."""
        found = []
        for line in self.stdout_path.read_text(errors="replace").splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue  # the greeting, or a line that is being written
            if isinstance(value, dict):
                found.append(value)
        return found


def _clean_environment() -> dict[str, str]:
    """Ours, without what would change a server's behaviour: proxies, provider keys, overrides of the config."""
    dropped = ("GATEWAY_", "OPENAI_")
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(dropped) and not key.lower().endswith("_proxy")
    }
