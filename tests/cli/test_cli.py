"""The command line: exit codes, one-line errors, keys in a real store."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from gateway.cli import tail
from gateway.config.schema import Config
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    "command",
    [
        "",
        "serve",
        "check",
        "tail",
        "keys",
        "keys create",
        "keys list",
        "keys revoke",
        "report",
        "export",
        "erase",
        "chaos",
        "conformance",
    ],
)
def test_help_has_an_example(run: Run, command: str) -> None:
    """On each command; the leaves take --config."""
    code, out, _ = run(*command.split(), "--help")
    assert code == 0
    assert "example: gateway" in out
    assert ("--config" in out) is (command not in ("", "keys"))


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["serve", "--port", "70000"],
        ["serve", "--port", "many"],
        ["tail", "--since", "yesterday"],
        ["keys", "create"],
        ["keys", "create", "--role", "king"],
        ["check", "--config", "nowhere.toml"],
    ],
)
def test_bad_usage_is_one_line_and_2(run: Run, argv: list[str]) -> None:
    """On stderr."""
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("gateway")
    assert err.count("\n") == 1


def test_check_names_the_bad_key(run: Run, tmp_path: Path) -> None:
    """File, path, problem; exit 2."""
    (tmp_path / "config.toml").write_text("[server]\nprot = 1")
    assert run("check") == (2, "", "gateway: config.toml: $.server.prot: unknown key; did you mean port?\n")


def test_check_warns_of_keys_that_can_be_guessed(run: Run, tmp_path: Path) -> None:
    """Whoever has one token can try every short key on it."""
    keys = 'signing_keys = ["x", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"]\nuser_assertion_key = "secret"'
    (tmp_path / "config.toml").write_text(f"[auth]\n{keys}\n")
    code, _, err = run("check")
    assert (code, err.splitlines()) == (
        0,
        [
            "warning: $.auth.signing_keys[0] can be guessed: it has fewer than 32 characters.",
            "warning: $.auth.user_assertion_key can be guessed: it has fewer than 32 characters.",
            "The configuration is valid. Its providers were not called: --probe asks each of them once.",
        ],
    )


def test_check_shows_what_comes_of_it(run: Run, tmp_path: Path) -> None:
    """The resolved config, its secrets masked."""
    (tmp_path / "c.toml").write_text('[providers.a]\napi_key = "sk-literal"')
    code, out, _ = run("check", "--config", "c.toml")
    assert code == 0
    assert out.startswith("# resolved from c.toml\n")
    assert 'api_key = "***"' in out
    assert "sk-literal" not in out


def test_the_life_of_a_key(run: Run) -> None:
    """Created once, listed without its secret, revoked once."""
    code, out, _ = run("keys", "create", "--role", "admin", "--project", "shop", "--name", "desk", "--json")
    made = json.loads(out)
    assert code == 0
    assert (made["role"], made["project"], made["name"]) == ("admin", "shop", "desk")
    assert re.fullmatch(r"gw-sk-.{43}", made["key"])
    assert made["id"]

    code, out, err = run("keys", "create", "--role", "chat", "--name", "desk")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1

    listed = run("keys", "list")[1]
    assert "desk" in listed
    assert "never" in listed
    assert made["key"] not in listed

    assert run("keys", "revoke", "desk")[1] == f"revoked desk ({made['id']})\n"
    assert run("keys", "revoke", "desk")[0] == 1
    assert run("keys", "list", "--json")[1] == ""
    (old,) = [json.loads(line) for line in run("keys", "list", "--json", "--all")[1].splitlines()]
    assert old["revoked"]
    assert "key" not in old
    assert "revoked" in run("keys", "list", "--all")[1]


def test_a_secret_is_alone_on_stdout(run: Run) -> None:
    """So that a script can take it; what it is for is on stderr."""
    code, out, err = run("keys", "create", "--role", "chat", "--store", "other.db")
    assert code == 0
    assert re.fullmatch(r"gw-sk-.{43}\n", out)
    assert "role chat" in err
    assert Path("other.db").exists()


def test_a_key_in_a_new_store_says_so(run: Run, tmp_path: Path) -> None:
    """Who makes it in the wrong directory would look for the error elsewhere."""
    assert f"No store was there, so {tmp_path}/gateway.db was made." in run("keys", "create", "--role", "chat")[2]
    assert "No store" not in run("keys", "create", "--role", "chat")[2]


def test_an_expired_key_is_listed_as_expired(run: Run) -> None:
    """Its name stays taken until it is revoked, which the error says."""
    run("keys", "create", "--role", "chat", "--name", "brief", "--expires", "0s")
    assert "expired" in run("keys", "list")[1]
    assert "revoke it first" in run("keys", "create", "--role", "chat", "--name", "brief")[2]
    run("keys", "revoke", "brief")
    assert run("keys", "create", "--role", "chat", "--name", "brief")[0] == 0


@pytest.mark.parametrize("command", ["keys list", "tail", "report", "export traces -o t.jsonl", "erase --user ada"])
def test_the_servers_secrets_are_the_servers(run: Run, tmp_path: Path, command: str) -> None:
    """Another shell, without its variables, can use the store; `check` and `serve` tell what is missing."""
    run("keys", "create", "--role", "chat")
    (tmp_path / "config.toml").write_text(
        '[auth]\nuser_assertion_key = "env:NOT_HERE"\n[models.default]\ntargets = ["openai/gpt-4o-mini"]'
    )
    assert run(*command.split())[0] == 0
    assert "the environment has no NOT_HERE" in run("check")[2]
    assert "the environment has no NOT_HERE" in run("serve", "--port", "0")[2]


def test_a_bad_name_is_refused(run: Run) -> None:
    """Before anything is stored."""
    code, _, err = run("keys", "create", "--role", "chat", "--name", "a\nb")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "said",
    [["{0},{1}"], ["{0}, {1}"], ["{0}", "{1}"], ["{0}", "--origins", "{1}"]],
    ids=["list", "blank", "several", "again"],
)
def test_origins_are_said_in_any_way(run: Run, said: list[str]) -> None:
    """With commas, after one option, or each after its own."""
    origins = ["https://a.example", "https://b.example:8443"]
    argv = [text.format(*origins) for text in said]
    code, out, _ = run("keys", "create", "--publishable", "--json", "--origins", *argv)
    assert (code, json.loads(out)["origins"]) == (0, origins)


@pytest.mark.parametrize("command", [["keys", "list"], ["tail"]])
def test_reading_makes_no_store(run: Run, command: list[str]) -> None:
    """Where there is none, that is the answer."""
    code, _, err = run(*command)
    assert (code, err.count("\n")) == (1, 1)
    assert not Path("gateway.db").exists()


def test_a_file_that_is_no_store(run: Run) -> None:
    """One line, exit 1."""
    Path("gateway.db").write_text("not a database, but long enough to be looked at as one. " * 40)
    code, _, err = run("tail")
    assert (code, err.count("\n")) == (1, 1)


def test_tail_says_when_there_was_nothing(run: Run) -> None:
    """On stderr, so that a pipe stays empty."""
    run("keys", "create", "--role", "chat")
    code, out, err = run("tail", "--since", "1.5h")
    assert (code, out) == (0, "")
    assert "Nothing happened" in err


def test_tail_shows_what_there_was(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And has no remark to make then."""

    async def one(*_: object, **__: object) -> int:
        return 1

    run("keys", "create", "--role", "chat")
    monkeypatch.setattr(tail, "from_store", one)
    assert run("tail") == (0, "", "")


def test_tail_of_a_gateway_that_is_not_there(run: Run) -> None:
    """One line, exit 1."""
    code, _, err = run("tail", "--url", "http://127.0.0.1:1")
    assert (code, err.count("\n")) == (1, 1)


def test_the_end_of_a_live_feed_is_a_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches learns that nobody sends any more."""
    monkeypatch.setattr(tail, "from_url", lambda *_, **__: None)
    assert run("tail", "--url", "http://g")[::2] == (1, "gateway: http://g ended the feed.\n")


@pytest.mark.parametrize("argv", [["tail", "--url", "http://g"], ["tail", "--store", "s.db"]])
def test_an_interrupt_ends_tail_quietly(run: Run, monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    """Ctrl-C is how one leaves it."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    run("keys", "create", "--role", "chat", "--store", "s.db")
    monkeypatch.setattr(tail, "from_url", interrupt)
    monkeypatch.setattr(tail, "from_store", interrupt)
    assert run(*argv) == (0, "", "")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """In place of the server, which has tests of its own: what `serve` was called with."""
    module = ModuleType("gateway.app")
    monkeypatch.setitem(sys.modules, "gateway.app", module)

    def serve(path: Path | None, load: Callable[[], Config], stores: object) -> int:
        module.called = (load(), path)  # type: ignore[attr-defined]
        return 0

    module.serve = serve  # type: ignore[attr-defined]
    return module


def test_serve_takes_its_options(run: Run, app: ModuleType) -> None:
    """They beat the file, and a plain file name is a store; a reload uses them again."""
    Path("config.toml").write_text("[server]\nport = 1\ndrain_s = 7")
    assert run("serve", "--port", "0", "--host", "::1", "--store", "/tmp/x.db")[0] == 0  # noqa: S108 - never opened
    config, path = app.called
    assert (config.server.port, config.server.host, config.server.drain_s) == (0, "::1", 7)
    assert config.store.url == "sqlite:////tmp/x.db"
    assert path == Path("config.toml")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError(98, "Address already in use"), 1, "gateway: [Errno 98] Address already in use\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_failures_of_a_command(run: Run, app: ModuleType, error: BaseException, code: int, text: str) -> None:
    """One line; 130 for an interrupt, as shells have it."""

    def serve(*_: object) -> int:
        raise error

    app.serve = serve  # type: ignore[attr-defined]
    assert run("serve") == (code, "", text)


def start(*argv: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", *argv], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_reader_that_left_is_no_failure(tmp_path: Path) -> None:
    """`gateway check | head -0`."""
    with start("check", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_chaos_runs_until_it_is_told_to_end(tmp_path: Path) -> None:
    """SIGTERM: exit 0."""
    with start("chaos", "--port", "0", cwd=tmp_path) as process:
        assert process.stdout is not None
        while "base URL http://127.0.0.1:" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0
