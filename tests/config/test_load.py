"""How a configuration comes about: file, environment, defaults, checks and text."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.load import find_config, load
from gateway.config.schema import Config, ConfigError, Model, Secret, Target
from gateway.config.show import config_hash, masked

ENV = {"UNRELATED": "1", "GATEWAY_KEY": "gw-sk-x", "GATEWAY_PORT_8000_TCP": "tcp://10.0.0.1"}


def loaded(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load(path, env or {})


def refused(tmp_path: Path, text: str, env: dict[str, str] | None = None) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text, env)
    return caught.value.path, caught.value.problem


def test_without_a_file_the_demo_model_answers() -> None:
    """Nothing set: `default` is demo/echo, dimensions are the three of 1 to 5."""
    config = load(None, ENV)
    assert config.models["default"].targets == ("demo/echo",)
    assert config.providers["demo"].kind == "demo"
    assert list(config.feedback.dimensions) == ["accuracy", "helpfulness", "relevance"]
    assert config.server.port == 8000


def test_openai_serves_when_its_key_is_set() -> None:
    """OPENAI_API_KEY alone makes the provider and the default model."""
    config = load(None, {"OPENAI_API_KEY": "sk-1"})
    assert config.models["default"].targets == ("openai/gpt-4o-mini",)
    assert config.providers["openai"].api_key == "sk-1"


def test_a_declared_openai_keeps_its_own_key(tmp_path: Path) -> None:
    """The variable's key never goes to an address that the file names without it."""
    config = loaded(tmp_path, '[providers.openai]\nbase_url = "http://10.0.0.1/v1"', {"OPENAI_API_KEY": "sk-1"})
    assert config.providers["openai"].api_key == ""


def test_a_file_is_read_with_its_secrets(tmp_path: Path) -> None:
    """`env:NAME` is resolved, in lists as well, and a weighted target is a table."""
    text = """
        [providers.a]
        base_url = "https://a.example/v1"
        api_key = "env:KEY_A"
        [models.m]
        targets = ["a/x", {target = "a/b/c", weight = 3}]
        strategy = "weighted"
        [auth]
        signing_keys = ["env:KEY_A", "plain"]
    """
    config = loaded(tmp_path, text, {"KEY_A": "s3cret"})
    assert config.providers["a"].api_key == "s3cret"
    assert config.auth.signing_keys == ("s3cret", "plain")
    assert config.models["m"].targets == ("a/x", Target(target="a/b/c", weight=3))


@pytest.mark.parametrize(
    ("text", "path", "word"),
    [
        ("[server]\nprot = 1", "$.server.prot", "unknown key"),
        ("[sever]\nport = 1", "$.sever", "unknown key"),
        ("server = 3", "$.server", "table"),
        ('[server]\nport = "9000"', "$.server.port", "expected `int`"),
        ("[server]\nport = 70000", "$.server.port", "65535"),
        ('[server]\nhost = ""', "$.server.host", "empty"),
        ('[server]\ncors_origins = ["https://a/"]', "$.server.cors_origins", "exact origin"),
        ('[server]\ncors_origins = ["*"]', "$.server.cors_origins", "exact origin"),
        ('[server]\npublic_url = "gateway.example.com"', "$.server.public_url", "as browsers have it"),
        ('[server]\npublic_url = "ftp://a.example"', "$.server.public_url", "as browsers have it"),
        ('[server]\npublic_url = "https://a.example/?q"', "$.server.public_url", "as browsers have it"),
        ('[auth]\nuser_header = "X-User"', "$.auth.user_header", "trusted_proxies"),
        ('[auth]\nuser_header = "Cookie"', "$.auth.user_header", "not the name of a header"),
        ('[auth]\nuser_header = "X-Forwarded-For"', "$.auth.user_header", "not the name of a header"),
        ('[auth.people]\nleads = ["*@*.example"]', "$.auth.people.leads", "neither a name"),
        ('[auth.people]\nadmins = [" "]', "$.auth.people.admins", "neither a name"),
        ('[server]\ncors_origins = ["https://App.example"]', "$.server.cors_origins", "exact origin"),
        ('[server]\ncors_origins = ["https://a:443"]', "$.server.cors_origins", "exact origin"),
        ('[server]\ntrusted_proxies = ["me"]', "$.server.trusted_proxies", "IP address"),
        (
            '[server]\nid_headers = {X-Who = "name"}',
            "$.server.id_headers.X-Who",
            "'name' is none of: user_id, session_id",
        ),
        ('[server]\nid_headers = {"X Who" = "user_id"}', "$.server.id_headers.X Who", "not the name"),
        ('[server]\nid_headers = {Cookie = "user_id"}', "$.server.id_headers.Cookie", "that may be stored"),
        ("[streaming]\nheartbeat_s = nan", "$.streaming.heartbeat_s", "float"),
        ('[store]\nurl = "postgres://h/d"', "$.store.url", "sqlite:///"),
        ('[providers.a]\nbase_url = "ftp://a"', "$.providers.a.base_url", "http"),
        ('[providers.a]\nbase_url = "http://a:99999"', "$.providers.a.base_url", "http"),
        ('[providers.a]\nbase_url = "http://u:p@a"', "$.providers.a.base_url", "credentials"),
        ('[providers.a]\nbase_url = "http://a?k=1&k=2"', "$.providers.a.base_url", "twice"),
        ('[providers.a]\nbase_url = "http://a?k=1#f"', "$.providers.a.base_url", "fragment"),
        ('[providers.a]\nbase_url = "http://a?k=1"\nquery = {k = "2"}', "$.providers.a.query.k", "base_url too"),
        ('[providers.a]\nquery = {"" = "2"}', "$.providers.a.query", "empty"),
        ("[providers.a]\nquery = {k = 2}", "$.providers.a.query.k", "expected `str`"),
        ('[providers.a]\nquery = {k = "env:NOPE"}', "$.providers.a.query.k", "NOPE"),
        ('[providers.a]\nauth = "basic"', "$.providers.a.auth", "none of: bearer, api-key"),
        ('[providers.a]\nheaders = "X-A: 1"', "$.providers.a.headers", "table"),
        ('[providers.a]\nheaders = {X-A = "env:NOPE"}', "$.providers.a.headers.X-A", "NOPE"),
        ('[providers.a]\nheaders = {"X A" = "1"}', "$.providers.a.headers.X A", "not the name"),
        ('[providers.a]\nheaders = {Content-Length = "1"}', "$.providers.a.headers.Content-Length", "itself"),
        ('[providers.a]\nheaders = {host = "b"}', "$.providers.a.headers.host", "itself"),
        ('[providers.a]\nheaders = {X-A = "1", x-a = "2"}', "$.providers.a.headers.x-a", "twice"),
        ('[providers.a]\nheaders = {X-A = "a\\r\\nX-B: 1"}', "$.providers.a.headers.X-A", "more than one line"),
        ('[providers.a]\nheaders = {X-A = "käse"}', "$.providers.a.headers.X-A", "no header can have"),
        (
            '[providers.a]\napi_key = "k"\nheaders = {authorization = "x"}',
            "$.providers.a.headers.authorization",
            "api_key",
        ),
        (
            '[providers.a]\napi_key = "k"\nauth = "api-key"\nheaders = {Api-Key = "x"}',
            "$.providers.a.headers.Api-Key",
            "api_key",
        ),
        ('[providers.a]\nca_file = "/nowhere.pem"', "$.providers.a.ca_file", "cannot be read"),
        ('[providers.a]\nkey = ""', "$.providers.a.key", "unknown key"),
        ('[providers.a]\napi_key = "env:NOPE"', "$.providers.a.api_key", "NOPE"),
        ('[providers."a/b"]', "$.providers.a/b", "slash"),
        ("[providers.demo]", "$.providers.demo", "built in"),
        ("[models.m]", "$.models.m.targets", "required"),
        ("[models.m]\ntargets = []", "$.models.m.targets", "length >= 1"),
        ('[models.m]\ntargets = ["x"]', "$.models.m.targets[0]", "provider/model"),
        ('[models.m]\ntargets = ["demo/echo", "b/x"]', "$.models.m.targets[1]", "no provider 'b'"),
        ('[models.m]\ntargets = [{target = "demo/echo", wight = 1}]', "$.models.m.targets[0].wight", "unknown key"),
        ('[models.""]\ntargets = ["demo/echo"]', "$.models.", "250"),
        ('[models."a*b"]\ntargets = ["demo/echo"]', "$.models.a*b", "at the end"),
        ('[models.m]\ntargets = ["demo/*"]', "$.models.m.targets[0]", "a * stands"),
        ('[models."m*"]\ntargets = ["demo/a*b"]', "$.models.m*.targets[0]", "a * stands"),
        ("[feedback.dimensions.a]", "$.feedback.dimensions.a", "needs min and max"),
        ("[feedback.dimensions.a]\nmin = 1", "$.feedback.dimensions.a", "needs min and max"),
        ("[feedback.dimensions.a]\nmin = 5\nmax = 5", "$.feedback.dimensions.a", "below"),
        ("[feedback.dimensions.a]\nmin = -5\nmax = 0", "$.feedback.dimensions.a", "above 0"),
        ('[feedback.dimensions.a]\nmin = 1\noptions = ["x"]', "$.feedback.dimensions.a", "not both"),
        ("[feedback.dimensions.a]\noptions = []", "$.feedback.dimensions.a", "none empty"),
        ('[feedback.dimensions.a]\noptions = ["x", "x"]', "$.feedback.dimensions.a", "differ"),
        ("[feedback.dimensions.comment]\nmin = 1\nmax = 5", "$.feedback.dimensions.comment", "itself"),
        ('[feedback.dimensions.""]\nmin = 1\nmax = 5', "$.feedback.dimensions.", "245"),
        ('[auth]\nsigning_keys = ["env:NOPE"]', "$.auth.signing_keys[0]", "NOPE"),
        ('[auth]\nsigning_keys = [""]', "$.auth.signing_keys[0]", "length >= 1"),
        ('[auth]\nrequire_keys = "perhaps"', "$.auth.require_keys", "'perhaps' is none of: auto, always, never"),
        ("[server", "$", "not TOML"),
    ],
)
def test_a_bad_file_is_refused_with_the_path(tmp_path: Path, text: str, path: str, word: str) -> None:
    """The error names the key and says what is wrong with it."""
    at, problem = refused(tmp_path, text)
    assert at == path
    assert word in problem


def test_good_values_pass_the_checks(tmp_path: Path) -> None:
    """Origins, networks, choices and a demo of one's own."""
    text = """
        [server]
        cors_origins = ["https://app.example.com:8443"]
        trusted_proxies = ["10.0.0.0/8", "::1"]
        [providers.demo]
        kind = "demo"
        [feedback.dimensions.tone]
        options = ["right", "wrong"]
    """
    assert loaded(tmp_path, text).feedback.dimensions["tone"].options == ("right", "wrong")


def test_a_query_in_the_address_is_one_of_the_provider(tmp_path: Path) -> None:
    """It is kept beside the declared one, as the secret that it may be; an address without one stays as it is."""
    text = """
        [providers.a]
        base_url = "https://a.example/deployments/gpt?api-version=2024-10-21&sig=a%2Bb%20c"
        query = {tenant = "env:TENANT"}
        [providers.b]
        base_url = "https://b.example/v1/"
    """
    config = loaded(tmp_path, text, {"TENANT": "t-1"})
    provider = config.providers["a"]
    assert provider.base_url == "https://a.example/deployments/gpt"
    assert provider.query == {"api-version": "2024-10-21", "sig": "a+b c", "tenant": "t-1"}
    assert config.providers["b"].base_url == "https://b.example/v1/"


def test_what_is_sent_to_a_provider_is_not_shown(tmp_path: Path) -> None:
    """Of headers and query, only the names, and the variables that their values are taken from."""
    text = """
        [providers.a]
        base_url = "https://a.example/v1?code=in-the-address"
        headers = {X-Own = "in-the-header", X-Env = "env:OF_HEADER"}
        query = {own = "in-the-query", env = "env:OF_QUERY"}
    """
    secrets = {"OF_HEADER": "from-outside-1", "OF_QUERY": "from-outside-2"}
    config = loaded(tmp_path, text, secrets)
    for shown in (masked(config), repr(config)):
        assert not [text for text in (*secrets.values(), "in-the-") if text in shown]
    shown = tomllib.loads(masked(config))["providers"]["a"]
    assert shown["headers"] == {"X-Own": "***", "X-Env": "env:OF_HEADER"}
    assert shown["query"] == {"code": "***", "own": "***", "env": "env:OF_QUERY"}


def test_a_command_without_secrets_needs_no_file_of_the_server(tmp_path: Path) -> None:
    """Variables and the authorities' file are there for the server alone."""
    path = tmp_path / "config.toml"
    path.write_text('[providers.a]\nca_file = "/nowhere.pem"\nheaders = {X-A = "env:NOPE"}')
    assert load(path, {}, secrets=False).providers["a"].headers == {"X-A": "env:NOPE"}


def test_authorities_are_certificates(tmp_path: Path) -> None:
    """A file of another kind is told at the start, not by the first chat."""
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    at, problem = refused(tmp_path, f'[providers.a]\nca_file = "{other}"')
    assert (at, problem) == ("$.providers.a.ca_file", "has no certificates in PEM's form")


def test_an_error_is_one_line_with_its_source(tmp_path: Path) -> None:
    """File, path and problem, as the CLI prints them."""
    path = tmp_path / "c.toml"
    path.write_text("[server]\nprot = 1")
    with pytest.raises(ConfigError, match=rf"^{path}: \$\.server\.prot: unknown key; did you mean port\?$"):
        load(path, {})


@pytest.mark.parametrize(
    ("content", "word"),
    [(None, "cannot be read"), (b"\xff", "is not UTF-8"), ("[server]".encode("utf-16"), "is UTF-16: save it as UTF-8")],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None, word: str) -> None:
    """Missing or not text."""
    path = tmp_path / "c.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=word):
        load(path, {})


def test_a_file_from_a_windows_editor_is_read(tmp_path: Path) -> None:
    """A byte order mark at its beginning and CR LF at its lines' ends mean nothing."""
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf[server]\r\nport = 1234\r\n")
    assert load(path, {}).server.port == 1234


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("sk-1\n", "line end"),
        (" sk-1", "blank"),
        ("sk-1\nsk-2", "more than one line"),
        ("sk-\u201c1\u201d", "character"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_by_its_path(tmp_path: Path, key: str, word: str) -> None:
    """Whether the file names its variable or not. The message doesn't show it."""
    path, problem = refused(tmp_path, '[providers.a]\napi_key = "env:KEY"', {"KEY": key})
    assert path == "$.providers.a.api_key"
    assert word in problem
    assert "sk-" not in problem
    with pytest.raises(ConfigError, match=r"providers\.openai\.api_key"):
        load(None, {"OPENAI_API_KEY": key})


@pytest.mark.parametrize("table", ["headers", "query"])
def test_a_secret_of_headers_or_query_ends_in_no_line_end(tmp_path: Path, table: str) -> None:
    """As with the key: what is read from a file often has one."""
    text = f'[providers.a.{table}]\nx = "env:KEY"'
    path, problem = refused(tmp_path, text, {"KEY": "s3cret\n"})
    assert path == f"$.providers.a.{table}.x"
    assert "line end" in problem


def test_a_key_for_signing_may_end_in_a_line_end_but_not_in_silence(tmp_path: Path) -> None:
    """It may have served for long, and whoever signs with it may have it with or without."""
    text = '[auth]\nuser_assertion_key = "env:KEY"'
    assert loaded(tmp_path, text, {"KEY": "k" * 40}).auth.warnings() == []
    (warning,) = loaded(tmp_path, text, {"KEY": "k" * 40 + "\n"}).auth.warnings()
    assert warning.startswith("$.auth.user_assertion_key begins or ends with a blank or a line end")


def test_the_environment_beats_the_file(tmp_path: Path) -> None:
    """Typed by the structs, nested, lists in both forms, and the spelling of the file's names is found."""
    text = '[server]\nport = 1\n[models.My-Model]\ntargets = ["demo/echo"]'
    env = {
        "GATEWAY_SERVER__PORT": "9000",
        "GATEWAY_SERVER__CORS_ORIGINS": "https://a.example, https://b.example",
        "GATEWAY_SERVER__TRUSTED_PROXIES": '["10.0.0.1"]',
        "GATEWAY_PROVIDERS__OPENAI__API_KEY": "env:K",
        "GATEWAY_MODELS__MY_MODEL__RETRIES": "3",
        "GATEWAY_FEEDBACK__DIMENSIONS__FUN__MIN": "1",
        "GATEWAY_FEEDBACK__DIMENSIONS__FUN__MAX": "3",
        "K": "sk-2",
    }
    config = loaded(tmp_path, text, env)
    assert config.server.port == 9000
    assert config.server.cors_origins == ("https://a.example", "https://b.example")
    assert config.server.trusted_proxies == ("10.0.0.1",)
    assert config.providers["openai"].api_key == "sk-2"
    assert config.models["My-Model"].retries == 3
    assert config.feedback.dimensions["fun"].max == 3


@pytest.mark.parametrize(
    ("name", "value", "path", "word"),
    [
        ("GATEWAY_SERVER__PROT", "1", "$.server.prot", "unknown key"),
        ("GATEWAY_SERVER__PORT__X", "1", "$.server.port.x", "unknown key"),
        ("GATEWAY_SERVER__PORT", "many", "$.server.port", "int"),
        ("GATEWAY_SERVER__CORS_ORIGINS", "[1", "$.server.cors_origins", ""),
        ("GATEWAY_MODELS__DEFAULT", "x", "$.models.default", "is a table"),
        ("GATEWAY_PROVIDERS__A__BASE_URL", "x", "$.providers.a.base_url", "http"),
    ],
)
def test_a_bad_variable_is_refused_by_its_name(name: str, value: str, path: str, word: str) -> None:
    """The source of the error is the variable, not the file."""
    with pytest.raises(ConfigError) as caught:
        load(None, {name: value})
    assert (caught.value.source, caught.value.path) == (name, path)
    assert word in caught.value.problem


def test_a_variable_does_not_make_a_table_of_a_value(tmp_path: Path) -> None:
    """The file says `server = 3`; the variable can't go into it."""
    assert refused(tmp_path, "server = 3", {"GATEWAY_SERVER__PORT": "1"}) == ("$.server", "is a value, not a table")


def test_find_config_looks_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file named, else ./config.toml, else none."""
    monkeypatch.chdir(tmp_path)
    assert find_config(None) is None
    (tmp_path / "config.toml").touch()
    assert find_config(None) == Path("config.toml")
    assert find_config("other.toml") == Path("other.toml")


def test_masked_text_is_toml_that_means_the_same(tmp_path: Path) -> None:
    """Secrets show where they come from; names that need quotes have them; it loads again."""
    text = """
        [providers.a]
        api_key = "env:K"
        [providers.b]
        api_key = "literal-secret"
        [models."gpt 4.1"]
        targets = ["a/x", {target = "b/y", weight = 2.5}]
    """
    config = loaded(tmp_path, text, {"K": "the-secret"})
    shown = masked(config)
    assert "the-secret" not in shown
    assert "literal-secret" not in shown
    assert tomllib.loads(shown)["providers"]["a"]["api_key"] == "env:K"
    again = loaded(tmp_path, shown.replace("***", "literal-secret"), {"K": "the-secret"})
    assert again == config


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_every_name_comes_back_from_masked_text(name: str) -> None:
    """Quotes, line ends, and what lies beyond 16 bits: an escape of JSON would be none of TOML's."""
    shown = masked(Config(models={name: Model(targets=("demo/echo",))}))
    assert list(tomllib.loads(shown)["models"]) == [name]
    assert all(line.isprintable() for line in shown.splitlines())


def test_the_hash_leaves_secrets_out(tmp_path: Path) -> None:
    """12 hex, the same for another secret, another for another timeout."""
    one = loaded(tmp_path, '[providers.a]\napi_key = "x"')
    same = loaded(tmp_path, '[providers.a]\napi_key = "y"')
    other = loaded(tmp_path, '[providers.a]\napi_key = "x"\n[streaming]\nheartbeat_s = 9')
    assert config_hash(one) == config_hash(same) != config_hash(other)
    assert len(config_hash(one)) == 12


def test_a_secret_is_not_shown_by_repr() -> None:
    """A config in a log line or a traceback gives nothing away."""
    config = load(None, {"OPENAI_API_KEY": "sk-secret"})
    assert "sk-secret" not in repr(config)
    assert repr(Secret("x")) == "'***'"


OVERRIDES = {"$.server.port": 3, "$.store.url": "sqlite:///x.db"}


def test_overrides_beat_the_environment_and_the_file(tmp_path: Path) -> None:
    """The command line's values stand above all; a section that the file doesn't have is made."""
    path = tmp_path / "config.toml"
    path.write_text("[server]\nport = 1\ndrain_s = 7")
    config = load(path, {"GATEWAY_SERVER__PORT": "2"}, OVERRIDES)
    assert (config.server.port, config.server.drain_s, config.store.url) == (3, 7, "sqlite:///x.db")


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("", {"$.server.host": ""}, "command line: $.server.host: is empty: 0.0.0.0 is every address"),
        ("server = 3", {"$.server.port": 3}, "$.server: a table is expected"),
    ],
)
def test_overrides_are_checked(tmp_path: Path, text: str, overrides: dict[str, object], message: str) -> None:
    """What the command line got wrong is said to be its; a table that is none is the file's fault."""
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, {}, overrides)
    assert str(caught.value).endswith(message)
