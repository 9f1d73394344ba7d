"""How much memory callers may make the process take: what they sent and what they get, and all of it together.

Made by limits.py, which takes no more streams while memory is full. web/ counts bodies and replies and has it measured;
the spine counts the questions of its chats.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from gateway.access.machine import machine_mb
from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.domain.messages import LARGE, ChatRequest
from gateway.errors import Unavailable

_MMAP_THRESHOLD = -3  # of malloc.h
_SHARE = 0.75  # of the machine's memory, or of the control group's, which counts the page cache, too
_COPIES = 3  # of a question until its answer begins: as it came, as the provider gets it, and as it is stored


class _Question(dict[str, msgspec.Raw]):
    """The fields of a large request. They are cleared when its answer begins, and at the latest when it ends."""

    def __init__(self, fields: dict[str, msgspec.Raw], memory: Memory, size: int) -> None:
        super().__init__(fields)
        self._memory, self._size = memory, size

    def clear(self) -> None:
        """Let go of the request, and give its memory back."""
        super().clear()
        self._memory.give_back(self._size)
        self._size = 0


class Memory:
    """`max_bodies_bytes` and `max_memory_mb` of the configuration bound it; 0 is no bound."""

    def __init__(self, current: Current) -> None:
        self._bodies = 0  # bytes
        self._resident_mb = 0.0
        current.subscribe(self._configure)

    def _configure(self, config: Config) -> None:
        self._most_bodies, most = config.limits.max_bodies_bytes, config.limits.max_memory_mb
        self.most_mb = _SHARE * machine_mb() if most == "auto" else most  # 0: no bound

    @property
    def full(self) -> bool:
        """Return True where the process was at its bound of memory when last measured."""
        return 0 < self.most_mb <= self._resident_mb

    def measure(self) -> None:
        """Look how much the process takes now, where that is bounded. The server does it once a second."""
        self._resident_mb = resident_mb() if self.most_mb else 0.0

    def keep(self, request: ChatRequest) -> ChatRequest:
        """Count a large question until its fields are cleared. Return the request. Raise Unavailable as `take` does."""
        if request.size <= LARGE:
            return request
        size = _COPIES * request.size
        self.take(size)
        return msgspec.structs.replace(request, fields=_Question(request.fields, self, size))

    @contextlib.contextmanager
    def room(self) -> Iterator[Callable[[int], None]]:
        """Yield what counts bytes for as long as the block lasts. It raises Unavailable as `take` does."""
        taken = 0

        def count(size: int) -> None:
            nonlocal taken
            self.take(size)
            taken += size

        try:
            yield count
        finally:
            self.give_back(taken)

    def take(self, size: int) -> None:
        """Count so many bytes. Raise Unavailable, and count nothing, where there is no room beside what is there."""
        if (self._bodies and 0 < self._most_bodies < self._bodies + size) or self.full:
            raise Unavailable("The server is busy. Please try again.", code="too_busy", retry_after=1)
        self._bodies += size

    def give_back(self, size: int) -> None:
        """Take back what was counted."""
        self._bodies -= size


def give_back_large_blocks() -> None:
    """Have the C library return blocks of 1 MB or more to the system when they are freed, where it is glibc.

    Left to itself it keeps what one large request took, in a heap that never shrinks again.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1_048_576)


def resident_mb() -> float:
    """Return this process's resident memory in megabytes; 0 where the system doesn't say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / 1_000_000
