"""Which paths of other APIs aren't served here, and what to use in their place, so that a 404 helps.

Clients of OpenAI, Ollama, Azure, Anthropic and Gemini come with their own paths, or with a base URL that lacks `/v1` or
has it twice. Called by application.py for paths without a route.
"""

from __future__ import annotations

import re

_CHAT, _COMPLETIONS, _EMBEDDINGS = "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings"
_LIST, _ONE = "GET /v1/models", "GET /v1/models/{model_id}"
_MODELS = f"Models are declared in the gateway's configuration; {_LIST} lists them."
_ITSELF = (
    f"Ask the provider itself for it. Of OpenAI's API there are {_CHAT}, {_COMPLETIONS}, {_EMBEDDINGS} and {_LIST}."
)

# The first that matches the path's beginning, up to a slash or the end, counts.
_WORDS: tuple[tuple[str, str], ...] = (
    (r"//", "The path begins with two slashes: the client's base URL ends in one too many."),
    (r"/v1/(?:chat/completions|completions|embeddings|models)/\Z", "Leave the slash at its end away."),
    # OpenAI's, and what others put beside it
    (r"/v1/v1", "The client's base URL has /v1 twice."),
    (r"/v1/(?:responses|messages|complete)", f"Use {_CHAT}."),
    (
        r"/v1/engines/[^/]+/(?:completions|embeddings)",
        f"Use {_COMPLETIONS} or {_EMBEDDINGS}, with the model in the body.",
    ),
    (r"/v1/audio", f"For speech in a chat use {_CHAT} with a model that speaks; else ask the provider itself."),
    (r"/v1", _ITSELF),
    # a base URL without /v1
    (r"/chat/completions", f"Use {_CHAT}: the client's base URL must end in /v1."),
    (r"/completions?", f"Use {_COMPLETIONS}: the client's base URL must end in /v1."),
    (r"/embeddings", f"Use {_EMBEDDINGS}: the client's base URL must end in /v1."),
    (r"/models", f"Use {_LIST}: the client's base URL must end in /v1."),
    (r"/responses", f"Use {_CHAT}."),
    (r"/api/v[01]", "The client's base URL must end in /v1, without /api."),
    # Azure's, Gemini's
    (r"/openai/deployments", f"Use {_CHAT}, with the model in the body and a client for OpenAI."),
    (r"/openai", f"Use {_CHAT}."),
    (r"/v1beta", f"Use {_CHAT}."),
    # Ollama's
    (r"/api/generate", f"Use {_COMPLETIONS}, or {_CHAT}: of Ollama's own API nothing is served."),
    (r"/api/(?:embed|embeddings)", f"Use {_EMBEDDINGS}: of Ollama's own API nothing is served."),
    (r"/api/tags", f"Use {_LIST}: of Ollama's own API nothing is served."),
    (r"/api/show", f"Use {_ONE}: of Ollama's own API nothing is served."),
    (r"/api/version", "Use GET /healthz: of Ollama's own API nothing is served."),
    (r"/api/(?:ps|pull|push|create|copy|delete|blobs)", f"{_MODELS} Of Ollama's own API nothing is served."),
)
_TABLE = tuple((re.compile(rf"{pattern}(?:(?<=/)|/|\Z)"), words) for pattern, words in _WORDS)
_OPENAI = re.compile(r"/(?:/v1|chat/completions|completions|embeddings|models|responses|openai|api/v[01])(?:/|\Z)")


def unserved(method: str, path: str) -> str:
    """Return a sentence for people about a path that has no route; what the caller wrote is shown safely."""
    words = next((words for pattern, words in _TABLE if pattern.match(path)), None)
    if words is None:
        return "There is no such path."
    shown = path if len(path) <= 100 and path.isprintable() else path[:100].encode("unicode_escape").decode()
    return f"{method} {shown} is not served here. {words}"


def is_openai(path: str) -> bool:
    """Return True for a path that OpenAI's clients come with, though it is outside of /v1."""
    return _OPENAI.match(path) is not None
