"""How much memory there is for this process: the machine's, or what its control group leaves of it.

It is not how much the process takes (memory.py, which asks this). Sources: proc(5); the kernel's docs of cgroup v2
(`memory.max`) and v1 (`memory.limit_in_bytes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = "sys/fs/cgroup"


def machine_mb(root: Path = Path("/")) -> float:
    """Return the megabytes that this process may take at most; 0 where the system doesn't say. `root` has proc, sys."""
    found = [*_total(root), *_limits(root)]
    return min(found) / 1_000_000 if found else 0.0


def _total(root: Path) -> Iterator[int]:
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal" and (kilobytes := value.split()):
            yield int(kilobytes[0]) * 1024


def _limits(root: Path) -> Iterator[int]:
    """Yield the limits of the process's control group and of those above it. One that has none says `max`."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            home, name = root / _CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            home, name = root / _CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the path may be the host's, of which only the end is mounted: so the top counts, too.
        group = PurePosixPath(path.lstrip("/"))
        for above in (group, *group.parents):
            if (limit := _read(home / above / name).strip()).isdigit():
                yield int(limit)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, ValueError):
        return ""
