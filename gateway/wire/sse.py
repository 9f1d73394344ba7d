"""Server-sent events as bytes: cutting a stream into frames, and reading one frame.

Format: the WHATWG HTML standard, section "Server-sent events". It only reads: the codecs
write what the gateway itself sends. Called by the upstream decoder, chaos/ and cli/.
"""

from __future__ import annotations

TELLING = 16  # bytes of a beginning that are enough, blanks aside
_FIELDS = (b":", b"data:", b"event:", b"id:", b"retry:", b"error:")  # llama.cpp had the last one


class FrameTooLong(ValueError):
    """A frame did not end within the bound."""


class FrameSplitter:
    """Cuts bytes that arrive in arbitrary pieces into frames. Line ends of all three kinds come out as LF."""

    def __init__(self, max_frame_bytes: int) -> None:
        self._max = max_frame_bytes
        self.tail: list[bytes] = []  # of the unfinished frame; joined once, when its end arrives
        self._tail_size = 0
        self._skip_lf = False  # the last byte was a CR, taken as a line end at once
        self._first = True

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that are complete now, without their blank lines. Empty ones are possible.

        Raises FrameTooLong.
        """
        if self._skip_lf:
            self._skip_lf = False
            if data.startswith(b"\n"):
                data = data[1:]
        if b"\r" in data:
            self._skip_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not data:
            return []
        if self.tail:
            seam = data.startswith(b"\n") and self.tail[-1].endswith(b"\n")
            if not seam and b"\n\n" not in data:
                self._hold(data)
                return []
            data = b"".join((*self.tail, data))
            self.tail.clear()
            self._tail_size = 0
        if self._first and len(data) >= 3:
            self._first = False
            data = data.removeprefix(b"\xef\xbb\xbf")
        *frames, rest = data.split(b"\n\n")
        if rest:
            self._hold(rest)
        return frames

    def close(self) -> list[bytes]:
        """Return the last frame, if the stream ended without its blank line."""
        return self.feed(b"\n\n") if self.tail else []

    def _hold(self, data: bytes) -> None:
        self._tail_size += len(data)
        if self._tail_size > self._max:
            raise FrameTooLong
        self.tail.append(data)


def looks_like_events(beginning: bytes) -> bool | None:
    """Return True where a body begins as an event stream does, False where it begins as JSON, whatever its type says.

    None where it does neither, or is too short to tell.
    """
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"{", b"[")):
        return False
    return True if text.startswith(_FIELDS) else None


def frame_data(frame: bytes) -> bytes | None:
    """Return the `data` of one frame, its lines joined by LF; None for a comment or a bare `retry:`."""
    if frame.startswith(b"data: ") and b"\n" not in frame:
        return frame[6:]
    lines = []
    for line in frame.split(b"\n"):
        name, colon, value = line.partition(b":")
        if name == b"data":
            lines.append(value[1:] if colon and value.startswith(b" ") else value)
    return b"\n".join(lines) if lines else None
