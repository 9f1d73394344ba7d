"""`gateway check --probe`, and docs/providers.md: what the page says of each provider is what goes out to it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.cli.main import main
from gateway.config.load import load
from tests.support.provider_site import Site, provider_site
from tests.support.upstream import whole

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
EXAMPLES = dict(re.findall(r"^## (.+)\n(?:(?!^## ).*\n)*?```toml\n((?:.*\n)*?)```", PAGE, re.M))


class Wanted(NamedTuple):
    """What a provider takes: its address and the path of a chat, headers, and the model's own name."""

    site: str
    path: str
    headers: dict[str, str]
    model: str


def bearer(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer value-of-{name}"}


AZURE = "https://YOUR-RESOURCE.openai.azure.com:443".lower()
WANTED = {
    "OpenAI": Wanted("https://api.openai.com:443", "/v1/chat/completions", bearer("OPENAI_API_KEY"), "gpt-4o-mini"),
    "Azure": Wanted(
        AZURE, "/openai/v1/chat/completions", {"api-key": "value-of-AZURE_OPENAI_API_KEY"}, "YOUR-DEPLOYMENT"
    ),
    "Azure, classic": Wanted(
        AZURE,
        "/openai/deployments/YOUR-DEPLOYMENT/chat/completions?api-version=2024-10-21",
        {"api-key": "value-of-AZURE_OPENAI_API_KEY"},
        "gpt-4o-mini",
    ),
    "Anthropic": Wanted(
        "https://api.anthropic.com:443", "/v1/chat/completions", bearer("ANTHROPIC_API_KEY"), "claude-sonnet-4-5"
    ),
    "Gemini": Wanted(
        "https://generativelanguage.googleapis.com:443",
        "/v1beta/openai/chat/completions",
        bearer("GEMINI_API_KEY"),
        "gemini-2.5-flash",
    ),
    "Bedrock": Wanted(
        "https://bedrock-runtime.us-west-2.amazonaws.com:443",
        "/openai/v1/chat/completions",
        bearer("AWS_BEARER_TOKEN_BEDROCK"),
        "openai.gpt-oss-20b-1:0",
    ),
    "Mistral": Wanted(
        "https://api.mistral.ai:443", "/v1/chat/completions", bearer("MISTRAL_API_KEY"), "mistral-small-latest"
    ),
    "Groq": Wanted(
        "https://api.groq.com:443", "/openai/v1/chat/completions", bearer("GROQ_API_KEY"), "llama-3.1-8b-instant"
    ),
    "OpenRouter": Wanted(
        "https://openrouter.ai:443",
        "/api/v1/chat/completions",
        {**bearer("OPENROUTER_API_KEY"), "http-referer": "https://app.example.com", "x-title": "My app"},
        "qwen/qwen3-32b",
    ),
    "Ollama": Wanted("http://127.0.0.1:11434", "/v1/chat/completions", {}, "llama3.2"),
    "vLLM": Wanted("http://127.0.0.1:8000", "/v1/chat/completions", bearer("VLLM_API_KEY"), "Qwen/Qwen3-8B"),
    "llama.cpp": Wanted("http://127.0.0.1:8080", "/v1/chat/completions", bearer("LLAMA_API_KEY"), "local"),
    "LM Studio": Wanted("http://127.0.0.1:1234", "/v1/chat/completions", {}, "openai/gpt-oss-20b"),
    "A gateway of your company": Wanted(
        "https://llm.corp.example:443",
        "/openai/v1/chat/completions?tenant=value-of-CORP_TENANT",
        {**bearer("CORP_LLM_KEY"), "x-cost-center": "4711", "cf-access-client-secret": "value-of-CF_ACCESS_SECRET"},
        "gpt-4o",
    ),
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Every address of the world, as the variables for proxies have it."""
    with provider_site(tmp_path) as made:
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "OPENAI_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, made.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(made.ca_file))
        yield made


def probe(directory: Path, text: str, *options: str) -> int:
    (directory / "config.toml").write_text(text)
    return main(["check", "--probe", "--config", str(directory / "config.toml"), *options])


def lines_of(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return re.sub(r"\(\d+\.\d s\)", "(… s)", capfd.readouterr().out).splitlines()


def test_the_page_has_every_provider() -> None:
    """None is without an example, and no example without a test."""
    assert set(EXAMPLES) - {"What all have in common", "Open WebUI in front"} == set(WANTED)


def test_the_other_examples_of_the_page(tmp_path: Path) -> None:
    """They load as they are, beside a provider's."""
    path = tmp_path / "config.toml"
    path.write_text(
        "".join(EXAMPLES[name] for name in ("What all have in common", "Open WebUI in front", "Ollama"))
        + '[providers.openrouter]\nbase_url = "http://x/v1"\n'
    )
    config = load(path, {})
    assert config.models["openrouter/*"].targets == ("openrouter/*",)
    assert config.server.id_headers["X-OpenWebUI-Chat-Id"] == "session_id"


@pytest.mark.parametrize("name", WANTED)
def test_an_example_of_the_page(
    name: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The provider is asked at its own address and path, with its key where it wants it, by its own name of the
    model; and the key is in nothing that is printed."""
    text, wanted = EXAMPLES[name], WANTED[name]
    for variable in re.findall(r'"env:(\w+)"', text):
        monkeypatch.setenv(variable, f"value-of-{variable}")
    code = probe(tmp_path, text.replace("/etc/ssl/corp-ca.pem", str(site.ca_file)))
    printed = capfd.readouterr()
    assert code == 0, printed
    (seen,) = site.seen
    assert (seen.site.lower(), seen.line) == (wanted.site, f"POST {wanted.path}")
    keys = {key: value for key, value in seen.headers.items() if key in ("authorization", "api-key")}
    assert keys.items() <= wanted.headers.items() <= seen.headers.items()
    assert (seen.body["model"], seen.body["stream"]) == (wanted.model, True)
    assert "value-of-" not in printed.out + printed.err


TWO = """
[providers.a]
base_url = "https://a.example/v1"
api_key = "sk-the-key-of-a"
[providers.spare]
base_url = "http://spare.example/v1"
[models.x]
targets = ["demo/echo", "a/one", "a/two"]
[models."spare/*"]
targets = ["spare/*"]
"""


def test_each_provider_is_asked_once(site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By the first model that names it, or for its list of models; a line for each, in the file's order."""
    assert probe(tmp_path, TWO) == 0
    assert lines_of(capfd) == [
        "a      ok      a/one (… s)",
        "spare  ok      GET /models (… s)",
        "demo   ok      demo/echo (… s)",
    ]
    assert sorted(seen.line for seen in site.seen) == ["GET /v1/models", "POST /v1/chat/completions"]


@pytest.mark.parametrize(
    ("answer", "of_chat", "of_list"),
    [
        (
            whole(401, b'{"error":{"message":"Bad key sk-the-key-of-a"}}'),
            "The provider refused this gateway's credentials. (HTTP 401)",
            "The provider refused this gateway's credentials. (HTTP 401)",
        ),
        (
            whole(404, b'{"error":{"message":"No such model for sk-the-key-of-a"}}'),
            "No such model for … (HTTP 404)",
            "No such model for … (HTTP 404)",
        ),
        (
            whole(200, b"<html>Welcome</html>", "text/html"),
            "The provider sent something that can't be read.",
            "What came is no list of models: most addresses end in /v1.",
        ),
        (b"", "broke", "broke"),
    ],
)
def test_a_provider_that_fails(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str], answer: bytes, of_chat: str, of_list: str
) -> None:
    """It has a line that says why, without the key; the others are asked all the same, and the exit code is 1."""
    site.answer = answer
    assert probe(tmp_path, TWO) == 1
    a, spare, demo = lines_of(capfd)
    assert a.startswith("a      FAILED  a/one: ")
    assert spare.startswith("spare  FAILED  GET /models: ")
    assert (of_chat in a, of_list in spare) == (True, True)
    assert demo == "demo   ok      demo/echo (… s)"
    assert "sk-the-key" not in a + spare


def test_why_a_provider_is_not_reached(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A certificate that nobody here trusts is told from a port where nobody listens."""
    monkeypatch.delenv("SSL_CERT_FILE")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert probe(tmp_path, TWO.replace("spare.example", f"127.0.0.1:{port}")) == 1
    a, spare, _ = lines_of(capfd)
    assert "(certificate " in a
    assert spare.endswith("GET /models: The provider can't be reached. (connection refused)")


def test_a_provider_that_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is left after the time that it may take."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        text = f'[providers.a]\nbase_url = "{url}"\n[models.x]\ntargets = ["a/one"]\n'
        assert probe(tmp_path, text, "--timeout", "0.1") == 1
    assert lines_of(capfd)[0] == "a     FAILED  a/one: There was no answer within 0.1 s."


@pytest.mark.parametrize("text", ["0", "-1", "soon", "1e3"])
def test_a_timeout_is_a_number_of_seconds(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Anything else is told in a line."""
    with pytest.raises(SystemExit) as caught:
        main(["check", "--probe", "--timeout", text])
    assert caught.value.code == 2
    assert "is not a number of seconds" in capfd.readouterr().err
