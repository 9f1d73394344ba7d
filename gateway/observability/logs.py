"""The log on stdout: JSON lines, or aligned lines where stdout is a terminal. How a line looks is in lines.py.

`Logs.write_activity` writes one line for each finished chat and each rating. All other lines come through Python's
logging: every module has `log = logging.getLogger(__name__)`, and `install` sends those records here. The log never
has what was asked, answered or commented. If nobody reads stdout the gateway goes on: a thread writes, and when it is
behind, lines are dropped and counted. Called by app.py.
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
from collections.abc import Collection
from typing import Any

import msgspec

from gateway import __version__
from gateway.config.schema import Config, Target
from gateway.domain.activity import Activity, ChatActivity
from gateway.domain.ids import now_ms
from gateway.observability.lines import clock, json_line, pretty_line, printable, rfc3339

_CODE = re.compile(r"[a-z0-9_]{1,64}")  # an error's code; an error's message could quote the prompt
_WORDS = "…"  # stands for the value of a rating that is somebody's words
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class Writer:
    """Writes lines to a file descriptor, in a thread of its own. `write` never waits.

    At most `limit` lines wait; further ones are dropped and counted.
    """

    def __init__(self, fd: int = 1, limit: int = 10_000) -> None:
        self.dropped = 0
        self._fd, self._limit = fd, limit
        self._lines: deque[str] = deque()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue one line, which has no newline at its end."""
        if len(self._lines) >= self._limit or self._closing.is_set():
            self.dropped += 1
            return
        self._lines.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout_s: float = 2) -> None:
        """Write the lines that wait. Give up after `timeout_s` if nobody reads them."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._closing.is_set() or self._lines:
            self._wake.wait()
            # Lines are collected for 20 ms, so that a busy gateway wakes this thread 50 times a second at most.
            self._closing.wait(0.02)
            self._wake.clear()
            # `write` may append meanwhile, so only the lines counted here are taken. They stay in the queue until they
            # are written, and count towards the limit.
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
            except BlockingIOError:  # another process that shares the descriptor made it non-blocking
                time.sleep(0.02)
            except OSError:  # nobody reads it any longer
                return False
        return True


class Logs(logging.Handler):
    """Writes chats, ratings and the records of Python's logging, all in one format."""

    def __init__(self, writer: Writer, *, pretty: bool, colour: bool) -> None:
        super().__init__()
        self.declared: Collection[tuple[str, str | None]] = ()  # (name, option) of ratings whose text is no words
        self._writer, self._pretty, self._colour = writer, pretty, colour

    @classmethod
    def on_stdout(cls) -> Logs:
        """Return a log on stdout: aligned lines on a terminal, JSON otherwise. It respects NO_COLOR (no-color.org)."""
        terminal = os.isatty(1)
        return cls(Writer(1), pretty=terminal, colour=terminal and not os.environ.get("NO_COLOR"))

    @property
    def dropped(self) -> int:
        """Return the number of lines that were dropped."""
        return self._writer.dropped

    def install(self) -> None:
        """Receive the gateway's records from INFO on, and those of libraries from WARNING on."""
        root = logging.getLogger()
        root.addHandler(self)
        root.setLevel(logging.WARNING)
        logging.getLogger("gateway").setLevel(logging.INFO)

    def close(self) -> None:
        """Write the lines that wait, and leave Python's logging."""
        logging.getLogger().removeHandler(self)
        self._writer.close()
        super().close()

    def plain(self, line: str) -> None:
        """Write a line for people as it is, for example those at the start."""
        self._writer.write(line)

    def write_activity(self, activity: Activity) -> None:
        """Write the line of one finished chat or one rating, without its content."""
        if self._pretty:
            bare = self._without_content(activity)
            self._writer.write(pretty_line(bare, width=shutil.get_terminal_size().columns, colour=self._colour))
        else:
            self._writer.write(json_line(_fields(self._without_content(activity))))

    def _without_content(self, activity: Activity) -> Activity:
        if isinstance(activity, ChatActivity):
            return msgspec.structs.replace(activity, preview=None, error=_code(activity.error))
        value = activity.value
        if isinstance(value, (list, dict)) or (isinstance(value, str) and (activity.name, value) not in self.declared):
            value = _WORDS
        return msgspec.structs.replace(activity, comment=None, value=value)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record of Python's logging; logging calls this."""
        try:
            message = record.getMessage()
            traceback = logging.Formatter().formatException(record.exc_info) if record.exc_info else None
        except Exception:
            self.handleError(record)
            return
        level = record.levelname.lower()
        if self._pretty:
            paint = {"warning": "33", "error": "31", "critical": "31"}.get(level) if self._colour else None
            word = f"\x1b[{paint}m{level:<15}\x1b[0m" if paint else f"{level:<15}"
            self._writer.write(f"{clock(now_ms())}  {word}  {printable(message)}")
            if traceback:
                # An error's text may have line breaks. Indented, its lines can't be mistaken for lines of this log.
                self._writer.write("\n".join(f"    {printable(line)}" for line in traceback.splitlines()))
            return
        fields = {"time": rfc3339(now_ms()), "event": "log", "level": level, "logger": record.name, "message": message}
        self._writer.write(json_line(fields | ({"exception": traceback} if traceback else {})))


def _fields(activity: Activity) -> dict[str, Any]:
    fields: dict[str, Any] = {"time": rfc3339(activity.time)}
    if isinstance(activity, ChatActivity):
        fields |= {
            "event": "chat",
            "trace_id": activity.trace_id,
            "route": activity.route,
            "model": activity.model,
            "provider": activity.provider,
            "attempts": activity.attempts,
            "outcome": activity.outcome,
            "first_token_ms": activity.first_token_ms,
            "duration_ms": activity.duration_ms,
            "tokens": activity.tokens,
            "project": activity.project,
        }
        return fields | ({"error": error} if (error := _code(activity.error)) else {})
    return fields | {
        "event": "rating",
        "trace_id": activity.trace_id,
        "name": activity.name,
        "value": activity.value,
        "source_id": activity.source_id,
        "project": activity.project,
    }


def _code(error: str | None) -> str | None:
    return error if error and _CODE.fullmatch(error) else None


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that is bound to `host`."""
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def program() -> str:
    """Return how to call this command: by its name if that is on the PATH, else by its file."""
    if shutil.which("gateway"):
        return "gateway"
    return "python -m gateway" if sys.argv[0].endswith("__main__.py") else os.path.relpath(sys.argv[0])


def startup_lines(config: Config, url: str, keys_required: bool, version: str = __version__) -> list[str]:
    """Return the lines shown at the start: address, models, store, whether keys are needed, and a curl command."""
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
        keys = "never required: everybody who reaches this address may do anything"
    everywhere = ", and every other address of this machine" if config.server.host in _EVERYWHERE else ""
    key = ' -H "Authorization: Bearer $GATEWAY_KEY"' if keys_required else ""
    first = next(iter(config.models), "")
    named = f', "model": "{first[:-1]}…"' if all(name.endswith("*") for name in config.models) else ""  # no default
    body = f"""'{{"message": "Hello!"{named}}}'"""
    lines = [
        f"Feedback Gateway {version} listens on {url}{everywhere}",
        f"  models  {shown}",
        f"  store   {config.store.url}",
        f"  keys    {keys}",
        f"  try     curl -N {url}/chat/stream{key} -H 'Content-Type: application/json' -d {body}",
    ]
    return [printable(line) for line in lines]
