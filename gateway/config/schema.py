"""The configuration: what config.toml may say, as frozen structs with their defaults.

How it is read, checked, shown and watched is the other files' of this package. Everything else is handed these structs.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.domain.messages import Usage

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=86_400)]
Count = Annotated[int, Meta(ge=0)]
Bytes = Annotated[int, Meta(ge=1)]
Price = Annotated[float, Meta(ge=0, le=1_000_000)]  # of a million tokens
# What a browser's Origin header says: host in lower case, no path, no port that is the scheme's own. Apps and
# extensions have schemes of their own.
ORIGIN = re.compile(
    r"(?!http://.*:80$|https://.*:443$)[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?"
)
SecretText = Annotated[str, Meta(extra={"secret": True})]  # "env:NAME" is resolved when it is loaded
SigningKey = Annotated[str, Meta(min_length=1, extra={"secret": True})]
SAFE_KEY = 32  # characters; a shorter key can be found by whoever has something that it signed


class ConfigError(Exception):
    """A bad key: `path` as in `$.server.port`, what is wrong with it, and the file or variable it came from."""

    def __init__(self, path: str, problem: str, source: str = "") -> None:
        super().__init__(path, problem, source)
        self.path, self.problem, self.source = path, problem, source

    def __str__(self) -> str:
        where = [part for part in (self.source, self.path) if part and part != "$"]
        return ": ".join([*where, self.problem])


class Secret(str):
    """A resolved secret. Its repr tells where it came from, never what it is, so that no log shows it by accident."""

    origin: str
    __slots__ = ("origin",)

    def __new__(cls, value: str, origin: str = "***") -> Secret:
        secret = super().__new__(cls, value)
        secret.origin = origin
        return secret

    def __repr__(self) -> str:
        return repr(self.origin)


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Server(_Section, frozen=True):
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8000
    cors_origins: tuple[str, ...] = ()
    max_body_bytes: Bytes = 20_971_520
    drain_s: Seconds = 30
    trusted_proxies: tuple[str, ...] = ()
    public_url: str = ""
    head_timeout_s: PositiveSeconds = 20
    body_timeout_s: PositiveSeconds = 30
    max_connections: Count = 20_000
    id_headers: dict[str, Literal["user_id", "session_id", "client_request_id"]] = {}


class StoreConfig(_Section, frozen=True):
    url: str = "sqlite:///gateway.db"
    retention_days: Annotated[float, Meta(ge=0, le=36_500)] = 30
    max_size_mb: Count = 0


class Capture(_Section, frozen=True):
    content: Literal["full", "preview", "none"] = "full"


class Streaming(_Section, frozen=True):
    heartbeat_s: PositiveSeconds = 10
    resume_window_s: Seconds = 300
    disconnect: Literal["cancel", "drain"] = "cancel"
    disconnect_grace_s: Seconds = 10
    max_buffer_bytes: Bytes = 1_048_576
    max_answer_bytes: Bytes = 16_777_216
    replay_max_bytes: Count = 268_435_456
    send_timeout_s: PositiveSeconds = 30


class Provider(_Section, frozen=True):
    kind: Literal["openai", "demo"] = "openai"
    base_url: str = "https://api.openai.com/v1"
    api_key: SecretText = ""
    auth: Literal["bearer", "api-key"] = "bearer"
    headers: dict[str, SecretText] = {}
    query: dict[str, SecretText] = {}
    ca_file: str = ""


class Target(_Section, frozen=True):
    """`target` is provider/model; `weight` counts under strategy "weighted"."""

    target: str
    weight: Annotated[float, Meta(gt=0, le=1_000_000)] = 1


class Model(_Section, frozen=True):
    targets: Annotated[tuple[str | Target, ...], Meta(min_length=1)]
    strategy: Literal["fallback", "weighted"] = "fallback"
    retries: Annotated[int, Meta(ge=0, le=10)] = 1
    connect_timeout_s: PositiveSeconds = 5
    first_token_timeout_s: PositiveSeconds = 30
    idle_timeout_s: PositiveSeconds = 60
    total_timeout_s: PositiveSeconds = 600
    judge: bool = False
    price_in: Price | None = None
    price_out: Price | None = None

    def cost(self, usage: Usage) -> float | None:
        """Return what an answer with these tokens costs; None where the model has no price."""
        if self.price_in is None and self.price_out is None:
            return None
        asked, said = usage.prompt_tokens * (self.price_in or 0), usage.completion_tokens * (self.price_out or 0)
        return (asked + said) / 1_000_000


class Dimension(_Section, frozen=True):
    """A scale (min, max) or a choice (options)."""

    min: int | None = None
    max: int | None = None
    options: tuple[str, ...] | None = None


class Feedback(_Section, frozen=True):
    dimensions: dict[str, Dimension] = {}

    @property
    def declared(self) -> frozenset[tuple[str, str | None]]:
        """Return what ratings may say by it: (name, option), and (name, None) where the values are numbers."""
        return frozenset(
            (f"user_{name}", option) for name, each in self.dimensions.items() for option in each.options or (None,)
        )


class PeopleRoles(_Section, frozen=True):
    """The roles of people whom somebody else vouches for. `*@x.com` is everybody of an address."""

    admins: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()


class Oidc(_Section, frozen=True):
    issuer: str = ""
    client_id: str = ""
    client_secret: SecretText = ""
    scopes: tuple[str, ...] = ("openid", "email")


class Auth(_Section, frozen=True):
    require_keys: Literal["auto", "always", "never"] = "auto"
    signing_keys: tuple[SigningKey, ...] = ()
    feedback_token_ttl_s: Count = 86_400
    user_assertion_key: SecretText = ""
    user_header: str = ""
    people: PeopleRoles = PeopleRoles()
    oidc: Oidc = Oidc()

    def warnings(self) -> list[str]:
        """Return a sentence for each thing that is allowed, and not safe."""
        keys = {f"signing_keys[{at}]": key for at, key in enumerate(self.signing_keys)}
        keys["user_assertion_key"] = self.user_assertion_key
        short = [
            f"$.auth.{name} can be guessed: it has fewer than {SAFE_KEY} characters."
            for name, key in keys.items()
            if 0 < len(key) < SAFE_KEY
        ]
        return short + [
            f"$.auth.{name} begins or ends with a blank or a line end: whoever shares it needs that, too."
            for name, key in keys.items()
            if key != key.strip()
        ]


class Limits(_Section, frozen=True):
    requests_per_minute: Count = 0
    streams_per_key: Count = 0
    max_streams: Count = 5_000
    ratings_per_token: Count = 100
    requests_per_minute_per_address: Count = 0
    streams_per_address: Count = 0
    max_messages: Count = 5_000
    socket_messages_per_s: Count = 1_000
    socket_frame_bytes: Count = 0
    max_bodies_bytes: Count = 536_870_912
    max_memory_mb: Count | Literal["auto"] = "auto"


class Config(_Section, frozen=True):
    server: Server = Server()
    store: StoreConfig = StoreConfig()
    capture: Capture = Capture()
    streaming: Streaming = Streaming()
    providers: dict[str, Provider] = {}
    models: dict[str, Model] = {}
    feedback: Feedback = Feedback()
    auth: Auth = Auth()
    limits: Limits = Limits()
