"""How much memory there is: the machine's, or what a control group leaves of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.access.machine import machine_mb
from gateway.access.memory import Memory
from gateway.config.current import Current
from gateway.config.schema import Config, Limits

MEMINFO = "MemTotal:        8000000 kB\nMemFree:          100000 kB\n"


def system(root: Path, files: dict[str, str]) -> float:
    """The megabytes of a machine that has these files."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return machine_mb(root)


V2, V1 = "sys/fs/cgroup/", "sys/fs/cgroup/memory/"
IN_V2, IN_V1 = "0::/app/web\n", "5:cpu,cpuacct:/app\n4:hugetlb,memory:/docker/x\n1:name=systemd:/x\n0::/\n"


@pytest.mark.parametrize(
    ("files", "megabytes"),
    [
        ({}, 8192),
        ({"proc/self/cgroup": IN_V2, V2 + "app/web/memory.max": "max\n"}, 8192),
        ({"proc/self/cgroup": IN_V2, V2 + "app/web/memory.max": "512000000\n"}, 512),
        ({"proc/self/cgroup": IN_V2, V2 + "app/web/memory.max": "max\n", V2 + "app/memory.max": "256000000\n"}, 256),
        ({"proc/self/cgroup": "0::/\n", V2 + "memory.max": "128000000\n"}, 128),
        ({"proc/self/cgroup": IN_V1, V1 + "docker/x/memory.limit_in_bytes": "9223372036854771712\n"}, 8192),
        ({"proc/self/cgroup": IN_V1, V1 + "docker/x/memory.limit_in_bytes": "300000000\n"}, 300),
        ({"proc/self/cgroup": IN_V1, V1 + "memory.limit_in_bytes": "200000000\n"}, 200),
        ({"proc/self/cgroup": "nonsense\n"}, 8192),
    ],
)
def test_the_smallest_limit_counts(tmp_path: Path, files: dict[str, str], megabytes: float) -> None:
    """Of the machine, the group and those above it, in both versions; a container sees only the end of its path."""
    assert system(tmp_path, {"proc/meminfo": MEMINFO, **files}) == megabytes


def test_a_system_that_does_not_say(tmp_path: Path) -> None:
    """Nothing is known then, which is no bound."""
    assert system(tmp_path, {}) == system(tmp_path, {"proc/meminfo": "MemTotal:\n"}) == 0


@pytest.mark.parametrize(("given", "most"), [("auto", 0.75 * machine_mb()), (0, 0), (300, 300)])
def test_the_bound_of_the_process(given: int, most: float) -> None:
    """By default three quarters of what there is."""
    assert Memory(Current(Config(limits=Limits(max_memory_mb=given)))).most_mb == most
    assert Limits().max_memory_mb == "auto"
