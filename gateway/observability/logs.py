"""The log on stdout: JSON lines, or aligned ones where stdout is a terminal.

One line per finished chat and per rating, by `Logs.record`; all else by Python's logging, whose records `install`
brings here: every module says `log = logging.getLogger(__name__)`. What was asked, answered or commented is never
in it. A reader of stdout that stopped can't stop the gateway: a thread writes, and drops and counts when it is behind.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import threading
import time
from collections import deque
from typing import Any

import msgspec

from gateway import __version__
from gateway.config.schema import Config, Target
from gateway.domain.ids import now_ms
from gateway.domain.trace import ChatRecord
from gateway.observability.lines import Record, clock, json_line, pretty_line, printable, rfc3339

_CODE = re.compile(r"[a-z0-9_]{1,64}")  # an error's code; its text could quote the prompt


_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class Writer:
    """Lines to a file descriptor by a thread of its own. `write` never waits; what doesn't fit is dropped."""

    def __init__(self, fd: int = 1, limit: int = 10_000) -> None:
        self.dropped = 0
        self._fd, self._limit = fd, limit
        self._lines: deque[str] = deque()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue one line, without its newline."""
        if len(self._lines) >= self._limit or self._closing.is_set():
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout_s: float = 2) -> None:
        """Write what waits; give up on a reader that takes nothing for that long."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._closing.is_set() or self._lines:
            self._wake.wait()
            # Lines gather a moment: a busy gateway wakes this thread 50 times a second, not once a line.
            self._closing.wait(0.02)
            self._wake.clear()
            # Counted, since `write` goes on appending meanwhile; what waits stays in the queue till it is written.
            lines = [self._lines[at] for at in range(len(self._lines))]
            written = self._put("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
            for _ in lines:
                self._lines.popleft()
            if not written:
                self.dropped += len(lines)

    def _put(self, data: bytes) -> bool:
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # somebody made the descriptor non-blocking
                time.sleep(0.02)
            except OSError:  # nobody reads it any more
                return False
        return True


class Logs(logging.Handler):
    """Chats, ratings, and the records of Python's logging, in one form."""

    def __init__(self, writer: Writer, *, pretty: bool, colour: bool) -> None:
        super().__init__()
        self._writer, self._pretty, self._colour = writer, pretty, colour

    @classmethod
    def on_stdout(cls) -> Logs:
        """Pretty on a terminal, JSON elsewhere; NO_COLOR is heard."""
        terminal = os.isatty(1)
        return cls(Writer(1), pretty=terminal, colour=terminal and not os.environ.get("NO_COLOR"))

    @property
    def dropped(self) -> int:
        """Lines that stdout didn't take."""
        return self._writer.dropped

    def install(self) -> None:
        """Take the gateway's messages from INFO on, and everybody else's from WARNING on."""
        root = logging.getLogger()
        root.addHandler(self)
        root.setLevel(logging.WARNING)
        logging.getLogger("gateway").setLevel(logging.INFO)

    def close(self) -> None:
        """Write what waits, and leave Python's logging."""
        logging.getLogger().removeHandler(self)
        self._writer.close()
        super().close()

    def plain(self, line: str) -> None:
        """A line for people, as it is: the first ones at the start."""
        self._writer.write(line)

    def record(self, record: Record) -> None:
        """One finished chat, or one rating."""
        if self._pretty:
            bare = _without_content(record)
            self._writer.write(pretty_line(bare, width=shutil.get_terminal_size().columns, colour=self._colour))
        else:
            self._writer.write(json_line(_fields(record)))

    def emit(self, record: logging.LogRecord) -> None:
        """One record of Python's logging."""
        try:
            message = record.getMessage()
            trouble = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        except Exception:
            self.handleError(record)
            return
        level = record.levelname.lower()
        if self._pretty:
            paint = {"warning": "33", "error": "31", "critical": "31"}.get(level) if self._colour else None
            word = f"\x1b[{paint}m{level:<15}\x1b[0m" if paint else f"{level:<15}"
            self._writer.write(f"{clock(now_ms())}  {word}  {printable(message)}")
            if trouble:
                # Indented, since an error's text may have line ends, and look like a line of this log.
                self._writer.write("\n".join(f"    {printable(line)}" for line in trouble.splitlines()))
            return
        fields = {"time": rfc3339(now_ms()), "event": "log", "level": level, "logger": record.name, "message": message}
        self._writer.write(json_line(fields | ({"exception": trouble} if trouble else {})))


def _without_content(record: Record) -> Record:
    if isinstance(record, ChatRecord):
        return msgspec.structs.replace(record, preview=None, error=_code(record.error))
    return msgspec.structs.replace(record, comment=None)


def _fields(record: Record) -> dict[str, Any]:
    fields: dict[str, Any] = {"time": rfc3339(record.time)}
    if isinstance(record, ChatRecord):
        fields |= {
            "event": "chat",
            "trace_id": record.trace_id,
            "route": record.route,
            "model": record.model,
            "provider": record.provider,
            "attempts": record.attempts,
            "outcome": record.outcome,
            "first_token_ms": record.first_token_ms,
            "duration_ms": record.duration_ms,
            "tokens": record.tokens,
            "project": record.project,
        }
        return fields | ({"error": error} if (error := _code(record.error)) else {})
    return fields | {
        "event": "rating",
        "trace_id": record.trace_id,
        "name": record.name,
        "value": record.value,
        "source_id": record.source_id,
        "project": record.project,
    }


def _code(error: str | None) -> str | None:
    return error if error and _CODE.fullmatch(error) else None


def local_url(host: str, port: int) -> str:
    """The address to try from this machine, for a server bound to `host`."""
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def program() -> str:
    """How to call this command from here: its name where it is on the PATH, else its file."""
    if shutil.which("gateway"):
        return "gateway"
    return "python -m gateway" if sys.argv[0].endswith("__main__.py") else os.path.relpath(sys.argv[0])


def startup_lines(config: Config, url: str, keys_required: bool, version: str = __version__) -> list[str]:
    """Where it listens, which models, which store, whether keys are needed, and a curl line to try."""
    models = []
    for name, model in config.models.items():
        targets = [target.target if isinstance(target, Target) else target for target in model.targets]
        models.append(f"{name} → {', '.join(targets)}")
    shown = "; ".join(models[:8]) + (f" and {len(models) - 8} more" if len(models) > 8 else "")
    if not any(provider.kind != "demo" for provider in config.providers.values()):
        shown += "  (built in; set OPENAI_API_KEY for a real one)"
    keys = "not needed from this machine"
    if keys_required:
        keys = f"required: {program()} keys create --role chat"
    elif config.auth.require_keys == "never":
        keys = "never required: whoever reaches this address may do anything"
    everywhere = ", and every other address of this machine" if config.server.host in _EVERYWHERE else ""
    key = ' -H "Authorization: Bearer $GATEWAY_KEY"' if keys_required else ""
    body = """'{"message": "Hello!"}'"""
    lines = [
        f"Feedback Gateway {version} listens on {url}{everywhere}",
        f"  models  {shown}",
        f"  store   {config.store.url}",
        f"  keys    {keys}",
        f"  try     curl -N {url}/chat/stream{key} -H 'Content-Type: application/json' -d {body}",
    ]
    return [printable(line) for line in lines]
