"""The log: what it has and doesn't have, and that it never blocks."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.config.load import load
from gateway.config.schema import Config, Model, Provider
from gateway.observability.logs import Logs, Writer, local_url, startup_lines
from tests.support.activities import TRACE, chat, rating


class Pipe:
    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        self._open = {self.read_fd, self.write_fd}

    def close(self, *fds: int) -> None:
        for fd in self._open & set(fds or self._open):
            self._open.remove(fd)
            os.close(fd)

    def text(self) -> str:
        """Return all bytes until the writer has ended."""
        with os.fdopen(self.read_fd, encoding="utf-8", closefd=False) as file:
            return file.read()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def levels() -> Iterator[None]:
    """Restore Python's logging after the test."""
    loggers = [logging.getLogger(), logging.getLogger("gateway")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def lines(pipe: Pipe, logs: Logs) -> list[dict[str, Any]]:
    logs.close()
    pipe.close(pipe.write_fd)
    return [json.loads(line) for line in pipe.text().splitlines()]


def test_a_chat_is_one_json_line_without_content(pipe: Pipe) -> None:
    """A chat's line has the documented fields, and neither the prompt nor an error's message."""
    logs = Logs(Writer(pipe.write_fd), pretty=False, colour=False)
    logs.write_activity(chat(error="the provider quoted: What is the capital of France?"))
    logs.write_activity(chat(outcome="timeout", error="upstream_timeout"))
    first, second = lines(pipe, logs)
    assert first == {
        "time": "2023-11-14T22:13:20.123Z",
        "event": "chat",
        "trace_id": TRACE,
        "route": "/chat/stream",
        "model": "default",
        "provider": "openai",
        "attempts": 1,
        "outcome": "complete",
        "first_token_ms": 420,
        "duration_ms": 1920,
        "tokens": 57,
        "project": "default",
    }
    assert second["error"] == "upstream_timeout"


def test_a_rating_is_one_json_line_without_comment(pipe: Pipe) -> None:
    """A rating's line has the rater, the trace and the value."""
    logs = Logs(Writer(pipe.write_fd), pretty=False, colour=False)
    logs.write_activity(rating(False))
    (line,) = lines(pipe, logs)
    assert (line["event"], line["value"], line["source_id"], "comment" in line) == ("rating", False, "mia", False)


def test_pretty_lines_have_no_content_either(pipe: Pipe) -> None:
    """Lines for people have no content either, since a terminal's scrollback is a log as well."""
    logs = Logs(Writer(pipe.write_fd), pretty=True, colour=False)
    logs.write_activity(chat(error="The provider said: capital of France"))
    logs.write_activity(rating())
    logs.close()
    pipe.close(pipe.write_fd)
    text = pipe.text()
    assert "ok" in text
    assert "👍" in text
    assert "France" not in text
    assert "Good!" not in text


@pytest.mark.usefixtures("levels")
def test_messages_of_the_gateway_and_warnings_of_others(pipe: Pipe) -> None:
    """The log has INFO of the gateway and WARNING of libraries; an exception is in the same line."""
    logs = Logs(Writer(pipe.write_fd), pretty=False, colour=False)
    logs.install()
    logging.getLogger("gateway.app").info("started %d", 1)
    logging.getLogger("uvicorn.error").info("ws://x?ticket=secret")
    logging.getLogger("uvicorn.error").warning("odd\n%s", "\x1b[2J")
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("gateway.run").exception("failed")
    first, second, third = lines(pipe, logs)
    assert (first["level"], first["logger"], first["message"]) == ("info", "gateway.app", "started 1")
    assert second["message"] == "odd\n\x1b[2J"  # escaped in the line, as JSON has it
    assert "ValueError: boom" in third["exception"]
    assert logs not in logging.getLogger().handlers


@pytest.mark.usefixtures("levels")
@pytest.mark.parametrize("colour", [True, False])
def test_messages_on_a_terminal(pipe: Pipe, colour: bool) -> None:
    """Messages for people are aligned with the chats, and escape sequences in them are shown as text."""
    logs = Logs(Writer(pipe.write_fd), pretty=True, colour=colour)
    logs.install()
    logs.plain("Feedback Gateway listens")
    try:
        raise ValueError("bo\x1bom")
    except ValueError:
        logging.getLogger("gateway.run").exception("failed \x1b[2J")
    logging.getLogger("gateway.run").info("fine")
    logs.close()
    pipe.close(pipe.write_fd)
    text = pipe.text()
    assert text.startswith("Feedback Gateway listens\n")
    assert ("\x1b[31merror" in text) is colour
    assert r"failed \x1b[2J" in text
    assert r"bo\x1bom" in text
    assert "info             fine" in text


def test_a_bad_log_call_is_not_fatal(pipe: Pipe, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that can't be formatted is reported as Python's logging does it."""
    logs = Logs(Writer(pipe.write_fd), pretty=False, colour=False)
    logs.handle(logging.LogRecord("gateway.x", logging.INFO, "f", 1, "%d", ("no number",), None))
    assert lines(pipe, logs) == []
    assert "Logging error" in capsys.readouterr().err


def test_a_reader_that_stopped_blocks_nobody(pipe: Pipe) -> None:
    """When nobody reads, the pipe and the queue fill, further lines are dropped and counted, and closing gives up."""
    writer = Writer(pipe.write_fd, limit=100)
    logs = Logs(writer, pretty=False, colour=False)
    for _ in range(50):
        writer.write("x" * 4000)
    for _ in range(200):
        writer.write("y")
    assert logs.dropped >= 150
    writer.close(timeout_s=0.05)
    writer.write("late")
    assert os.read(pipe.read_fd, 10) == b"x" * 10
    reader = threading.Thread(target=pipe.text)  # takes the rest, so that the writer ends
    reader.start()
    writer.close()
    pipe.close(pipe.write_fd)
    reader.join()


def test_a_reader_that_left_is_no_error(pipe: Pipe) -> None:
    """After EPIPE every line is dropped."""
    pipe.close(pipe.read_fd)
    writer = Writer(pipe.write_fd)
    writer.write("into the void")
    writer.close()
    assert writer.dropped == 1


def test_a_non_blocking_stdout_is_waited_for(pipe: Pipe) -> None:
    """A descriptor that another program made non-blocking still gets all lines."""
    os.set_blocking(pipe.write_fd, False)
    writer = Writer(pipe.write_fd)
    for _ in range(40):
        writer.write("x" * 4000)
    size = 0
    while size < 40 * 4001:
        size += len(os.read(pipe.read_fd, 1 << 16))
    writer.close()
    assert writer.dropped == 0


def test_stdout_decides_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal the log is JSON."""
    logs = Logs.on_stdout()
    assert logs._pretty is False
    logs.close()


def test_the_first_lines_say_what_one_needs() -> None:
    """The first lines name the address, the models, the store and the keys, and have a command to try."""
    text = "\n".join(startup_lines(load(None, {}), "http://127.0.0.1:8000", False))
    for part in ("http://127.0.0.1:8000", "default → demo/echo", "sqlite:///gateway.db", "not needed", "curl -N"):
        assert part in text
    assert "OPENAI_API_KEY" in text
    assert "Authorization" not in text


def test_the_first_lines_with_keys_and_many_models() -> None:
    """If keys are required, the command has one; a long list of models is cut."""
    env = {"OPENAI_API_KEY": "k"} | {
        f"GATEWAY_MODELS__M{n}__TARGETS": '["openai/x", {target="demo/echo"}]' for n in range(10)
    }
    text = "\n".join(startup_lines(load(None, env), "http://h", True))
    assert "m0 → openai/x, demo/echo" in text
    assert "and 2 more" in text
    assert '-H "Authorization: Bearer $GATEWAY_KEY"' in text
    assert " keys create --role chat" in text


def test_the_first_lines_of_a_gateway_without_a_default_model() -> None:
    """If all models are families, the command names one, to be filled in."""
    config = Config(models={"up/*": Model(targets=("up/*",))}, providers={"up": Provider()})
    assert '{"message": "Hello!", "model": "up/…"}' in "\n".join(startup_lines(config, "http://h", False))


def test_the_first_lines_warn_of_an_open_door() -> None:
    """A gateway that never requires keys says so at its start."""
    config = load(None, {"GATEWAY_AUTH__REQUIRE_KEYS": "never"})
    assert "everybody who reaches" in "\n".join(startup_lines(config, "http://h", False))


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("0.0.0.0", "http://127.0.0.1:1"), ("::", "http://[::1]:1")],  # noqa: S104
)
def test_the_address_to_try(host: str, url: str) -> None:
    """The URL is one that a browser on this machine can open."""
    assert local_url(host, 1) == url
