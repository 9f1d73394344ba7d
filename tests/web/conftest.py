"""Servers for the tests of the edge: one process of a kind serves them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.chaos import ChaosProcess
from tests.support.http_client import call
from tests.support.servers import GatewayProcess
from tests.support.wires import Reply

ORIGIN = "https://app.example"
MAX_BODY = 200_000
CONFIG: dict[str, Any] = {
    "server": {"cors_origins": [ORIGIN], "max_body_bytes": MAX_BODY},
    "streaming": {"disconnect_grace_s": 0.2},
    "models": {
        "default": {"targets": ["demo/lorem-3-0ms"]},
        "slow": {"targets": ["demo/lorem-2000-10ms"]},
        "echo": {"targets": ["demo/echo"]},
        "judge": {"targets": ["demo/lorem-3-0ms"], "judge": True, "price_in": 1.0, "price_out": 2.0},
    },
    "feedback": {
        "dimensions": {
            "accuracy": {"min": 1, "max": 5},
            "tone": {"options": ["too formal", "right"]},
        }
    },
}


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosProcess]:
    """A provider that tells what it was sent."""
    with ChaosProcess(tmp_path_factory.mktemp("chaos")) as process:
        yield process


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that wants no key of callers on this machine."""
    with GatewayProcess(tmp_path_factory.mktemp("edge"), CONFIG) as process:
        yield process


PAGE = "https://shop.example"
SECRET = "an assertion key of 32 characters"


class Locked:
    """A gateway that wants keys, and one key of each kind."""

    def __init__(self, gateway: GatewayProcess, keys: dict[str, str]) -> None:
        self.gateway, self.keys = gateway, keys


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """It has a key of each role, and one of another project."""
    process = GatewayProcess(tmp_path_factory.mktemp("locked"), CONFIG | {"auth": {"require_keys": "always"}})
    keys = {role: make_key(process, role) for role in ("chat", "review", "admin")}
    keys["other"] = make_key(process, "admin", project="other")
    with process:
        yield Locked(process, keys)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """A gateway that wants keys and knows how a shop's server names its users."""
    auth = {"require_keys": "always", "user_assertion_key": "env:SHOP_SECRET"}
    process = GatewayProcess(
        tmp_path_factory.mktemp("shop"),
        CONFIG | {"auth": auth, "limits": {"ratings_per_token": 3}},
        env={"SHOP_SECRET": SECRET},
    )
    keys = {role: make_key(process, role) for role in ("chat", "review", "admin")}
    keys["page"] = make_key(process, "chat", "--publishable", "--origins", f"{PAGE},https://b.example", name="page")
    keys["other"] = make_key(process, "admin", project="other")
    with process:
        yield Locked(process, keys)


def make_key(
    gateway: GatewayProcess, role: str, *options: str, project: str = "default", name: str | None = None
) -> str:
    """A fresh key, made by the command."""
    named = ("--project", project, "--name", name or f"{role}-{project}")
    made = gateway.run("keys", "create", "--role", role, *named, *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def own(gateway: GatewayProcess) -> dict[str, str]:
    """What a page of the gateway's own sends."""
    return {"Origin": gateway.url}


def cookie(reply: Reply) -> str:
    """The cookie that a reply gives."""
    return reply.headers["set-cookie"].partition(";")[0]


def sign_in(gateway: GatewayProcess, key: str, name: str | None = None) -> dict[str, str]:
    """The headers of a person's page, who signed in with a key."""
    body = {"key": key} if name is None else {"key": key, "name": name}
    reply = call(gateway, "POST", "/auth/key", body, own(gateway))
    assert reply.status == 204, reply.body
    return own(gateway) | {"Cookie": cookie(reply)}


def invited(gateway: GatewayProcess, key: str, name: str, role: str = "reviewer") -> tuple[dict[str, str], str]:
    """The headers of a person's page, who came by an invitation, and its ID."""
    made = call(gateway, "POST", "/people/invites", {"user_id": name, "role": role}, key=key).json
    reply = call(gateway, "POST", "/auth/invite", {"invite": made["url"].partition("invite=")[2]}, own(gateway))
    assert reply.status == 204, reply.body
    return own(gateway) | {"Cookie": cookie(reply)}, made["id"]


def works(gateway: GatewayProcess, key: str | None = None) -> bool:
    """Whether a good request gets its answer."""
    return call(gateway, "POST", "/chat", {"message": "still there?"}, key=key).status == 200


def until(holds: Callable[[], bool], seconds: float = 2) -> None:
    """Two seconds is what a running server may take to know of a key."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
