"""What the benchmark asks of the machine: processes on a given core, their CPU time and memory. Linux only."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

GATEWAY_CORE, LOAD_CORE = 0, 1
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The benchmark can't go on; the text says why and what to do."""


def need(command: str, package: str) -> str:
    """The path of a command, or an error that names the Debian package it is in."""
    path = shutil.which(command, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if path is None:
        raise BenchError(f"{command} is missing: apt-get install {package}")
    return path


def pinned(core: int, command: list[str]) -> list[str]:
    """The command, bound to one core, and ended by the kernel should the benchmark itself be killed."""
    return [
        need("setpriv", "util-linux"),
        "--pdeathsig",
        "TERM",
        need("taskset", "util-linux"),
        "-c",
        str(core),
        *command,
    ]


def spawn(core: int, command: list[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(
            pinned(core, command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **(env or {})},
        )


def stop(process: subprocess.Popen[bytes], grace_s: float = 5) -> None:
    """Ends the process and all it started, which need not have ended with it."""
    if process.poll() is None:
        tree = _tree(process.pid)
        freeze(process.pid, frozen=False)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
        process.kill()
        for pid in tree[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def freeze(pid: int, *, frozen: bool) -> None:
    """Stops the process and all it started from running, or lets them go on."""
    for one in _tree(pid):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGSTOP if frozen else signal.SIGCONT)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], timeout_s: float = 10) -> None:
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise BenchError(f"nothing listens on port {port}: {process.args!r}")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name: [1] parent, [13], [14] CPU of reaped children."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _tree(pid: int) -> list[int]:
    """The process and all that descend from it, parents first."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
            except OSError:
                continue
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the whole tree, threads and processes that have ended included."""
    total = 0.0
    for one in _tree(pid):
        try:
            # The kernel's clock of another process (man clock_getcpuclockid): nanoseconds where /proc has 10 ms ticks.
            total += time.clock_gettime((~one << 3) | 2)
            stat = _stat(one)
        except OSError:
            continue
        total += (int(stat[13]) + int(stat[14])) / _TICKS
    return total


def settled_cpu_seconds(pid: int) -> float:
    """Waits until the tree is idle, so that work left over is paid for by the run that caused it."""
    before = cpu_seconds(pid)
    for _ in range(80):
        time.sleep(0.1)
        after = cpu_seconds(pid)
        if after - before < 0.002:
            return after
        before = after
    return before


def resident_kb(pid: int) -> float:
    total = 0
    for one in _tree(pid):
        try:
            found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{one}/status").read_text())
        except OSError:
            continue
        total += int(found[1]) if found else 0
    return float(total)


def _fsync_ms(directory: Path) -> float:
    """Median time to write 4 kB to a file and have it on disk: what a commit can't go below."""
    times = []
    with (directory / "fsync").open("wb", buffering=0) as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return median(times) * 1e3


class Steal:
    """The share of the machine's time that its host gave to others since this was made."""

    def __init__(self) -> None:
        self._before = self._read()

    def text(self) -> str:
        stolen, total = (after - before for after, before in zip(self._read(), self._before, strict=True))
        return f"{100 * stolen / max(1, total):.1f} %"

    @staticmethod
    def _read() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return fields[7], sum(fields)


def facts(disk: Path) -> dict[str, str]:
    """What the machine is. `disk`: a directory where the store will be."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    nginx = subprocess.run([need("nginx", "nginx-light"), "-v"], capture_output=True, text=True, check=True).stderr
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": f"{os.cpu_count()} x {cpu[1].strip() if cpu else platform.machine()}",
        "memory": f"{memory / 2**30:.0f} GB",
        "kernel": platform.release(),
        "fdatasync": f"{_fsync_ms(disk):.2f} ms",
        "python": platform.python_version(),
        "nginx": nginx.strip().rsplit("/", 1)[-1],
        "load before": f"{os.getloadavg()[0]:.2f}",
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }
