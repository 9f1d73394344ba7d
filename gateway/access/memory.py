"""How much memory callers may make the process take: bodies that are still coming, and all of it together.

Made by limits.py, which takes no more streams while memory is full. web/ counts the bodies and has it measured.
"""

from __future__ import annotations

import resource
from pathlib import Path

from gateway.config.current import Current
from gateway.errors import Unavailable


class Memory:
    """`max_bodies_bytes` and `max_memory_mb` of the configuration bound it; 0 is no bound."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._bodies = 0  # bytes
        self._resident_mb = 0.0

    @property
    def full(self) -> bool:
        """Return True where the process was at its bound of memory when last measured."""
        return 0 < self._current.value.limits.max_memory_mb <= self._resident_mb

    def measure(self) -> None:
        """Look how much the process takes now, where that is bounded. The server does it once a second."""
        self._resident_mb = resident_mb() if self._current.value.limits.max_memory_mb else 0.0

    def take(self, size: int) -> None:
        """Count bytes of a body that is still coming. Raise Unavailable, and count nothing, where there is no room."""
        if 0 < self._current.value.limits.max_bodies_bytes < self._bodies + size:
            raise Unavailable("The server is busy. Please try again.", code="too_busy", retry_after=1)
        self._bodies += size

    def give_back(self, size: int) -> None:
        """Take back what was counted of a body that came whole, or never will."""
        self._bodies -= size


def resident_mb() -> float:
    """Return this process's resident memory in megabytes; 0 where the system doesn't say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / 1_000_000
