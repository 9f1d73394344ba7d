"""Invitations: who makes them, what the link opens, when it ends, and what leads see of people."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from gateway.domain.ids import now_ms
from tests.support.http_client import assert_native, call
from tests.support.servers import GatewayProcess
from tests.support.wires import Reply
from tests.web.conftest import Locked, cookie, invited, own, sign_in, until

OUT = {"user_id": None, "role": None, "ways": ["key", "invite"]}
DAY_MS = 86_400_000


def make(locked: Locked, key: str = "admin", **body: Any) -> Reply:
    return call(locked.gateway, "POST", "/people/invites", {"role": "reviewer"} | body, key=locked.keys[key])


def join(gateway: GatewayProcess, url: str, *, look: bool = False) -> Reply:
    body = {"invite": url.partition("#/join?invite=")[2]} | ({"look": True} if look else {})
    return call(gateway, "POST", "/auth/invite", body, own(gateway))


def me(gateway: GatewayProcess, headers: dict[str, str]) -> Any:
    return call(gateway, "GET", "/me", headers=headers).json


def invites_of(locked: Locked, user_id: str) -> list[Any]:
    found = call(locked.gateway, "GET", "/people/invites", key=locked.keys["review"]).json["invites"]
    return [each for each in found if each["user_id"] == user_id]


def person(locked: Locked, user_id: str) -> Any:
    found = call(locked.gateway, "GET", "/people", key=locked.keys["review"]).json["people"]
    assert [each["user_id"] for each in found] == sorted(each["user_id"] for each in found)
    return next((each for each in found if each["user_id"] == user_id), None)


def test_an_invitation(locked: Locked) -> None:
    """Its link says first whom it is for, which uses nothing up, and then lets that person in, on any device."""
    gateway = locked.gateway
    made = make(locked, user_id=" Rita@X.com ", expires_days=1, labeling_sessions=["ls-1"]).json
    assert re.fullmatch(rf"{re.escape(gateway.url)}/#/join\?invite=gw-in-[\w-]{{43}}", made["url"])
    looked = join(gateway, made["url"], look=True)
    (listed,) = invites_of(locked, "rita@x.com")
    assert looked.json == {"user_id": "rita@x.com", "role": "reviewer", "expires": listed["expires"]}
    assert "set-cookie" not in looked.headers
    assert listed["first_used"] is None
    assert person(locked, "rita@x.com") == {
        "user_id": "rita@x.com", "role": "reviewer", "way": None, "first_used": None, "last_used": None,
        "last_address": None,
    }  # fmt: skip
    for _ in range(2):
        reply = join(gateway, made["url"])
        assert reply.status == 204
        seen = me(gateway, {"Cookie": cookie(reply)})
        assert seen == {"user_id": "rita@x.com", "role": "reviewer", "project": "default", "ways": ["key", "invite"]}
    (listed,) = invites_of(locked, "rita@x.com")
    assert (listed["id"], listed["created_by"], listed["labeling_sessions"]) == (made["id"], "admin-default", ["ls-1"])
    assert (listed["expires"] - listed["created"], listed["last_address"]) == (DAY_MS, "127.0.0.1")
    assert listed["created"] <= listed["first_used"] <= listed["last_used"]
    assert (person(locked, "rita@x.com")["way"], person(locked, "rita@x.com")["last_address"]) == (
        "invite",
        "127.0.0.1",
    )


def test_the_store_has_its_hash_alone(locked: Locked) -> None:
    """The secret is in no file, nor in the list."""
    secret = make(locked, user_id="hanna").json["url"].partition("invite=")[2]
    (row,) = locked.gateway.store.rows("SELECT invite_hash FROM invites WHERE user_id = 'hanna'")
    assert row["invite_hash"] == hashlib.sha256(secret.encode()).hexdigest()
    for path in locked.gateway.directory.iterdir():
        assert secret.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "body",
    [
        {"user_id": ""},
        {"user_id": "a\nb"},
        {"user_id": 1},
        {"user_id": "a", "role": "admin"},
        {"user_id": "a", "expires_days": 0},
        {"user_id": "a", "expires_days": 1e9},
        {"user_id": "a", "labeling_sessions": [""]},
        {"user_id": "a", "unknown": 1},
        {},
    ],
    ids=str,
)
def test_bad_invitations(locked: Locked, body: Any) -> None:
    """Each is refused by its field."""
    reply = make(locked, **body)
    assert (reply.status, reply.json["code"]) == (422, "invalid_value")
    assert reply.json["details"]


@pytest.mark.parametrize(
    ("by", "role", "status"),
    [("lead", "reviewer", 200), ("lead", "lead", 403), ("admin", "reviewer", 200), ("admin", "lead", 200)],
)
@pytest.mark.parametrize("signed_in", [True, False])
def test_who_invites_whom(locked: Locked, by: str, role: str, status: int, signed_in: bool) -> None:
    """Leads reviewers, admins both; by key or by cookie. So it is with taking an invitation back."""
    gateway, name = locked.gateway, f"{by}-invites-{role}"
    key = locked.keys["review" if by == "lead" else "admin"]
    headers = sign_in(gateway, key, "ann") if signed_in else {"Authorization": f"Bearer {key}"}
    body = {"user_id": name, "role": role}
    assert call(gateway, "POST", "/people/invites", body, headers).status == status
    invite_id = make(locked, user_id=name, role=role).json["id"]
    wanted = 204 if status == 200 else 403
    assert call(gateway, "DELETE", f"/people/invites/{invite_id}", headers=headers).status == wanted


def test_a_page_elsewhere_invites_nobody(locked: Locked) -> None:
    """Though the cookie comes along."""
    admin = sign_in(locked.gateway, locked.keys["admin"], "ann") | {"Origin": "https://evil.example"}
    body = {"user_id": "eve", "role": "lead"}
    assert_native(call(locked.gateway, "POST", "/people/invites", body, admin), 403, "origin_not_allowed")
    assert invites_of(locked, "eve") == []


def test_revoking_signs_out(locked: Locked) -> None:
    """At once, whoever came by it; the link is dead, and the list has it no longer. Others of the person stay."""
    gateway = locked.gateway
    kept, _ = invited(gateway, locked.keys["admin"], "vera")
    made = make(locked, user_id="vera").json
    gone = {"Cookie": cookie(join(gateway, made["url"]))}
    assert call(gateway, "DELETE", f"/people/invites/{made['id']}", key=locked.keys["review"]).status == 204
    assert (me(gateway, gone), me(gateway, kept)["user_id"]) == (OUT, "vera")
    for look in (True, False):
        assert_native(join(gateway, made["url"], look=look), 401, "invalid_invite")
    assert_native(call(gateway, "DELETE", f"/people/invites/{made['id']}", key=locked.keys["review"]), 404, "not_found")
    assert made["id"] not in [each["id"] for each in invites_of(locked, "vera")]


def test_it_expires(locked: Locked) -> None:
    """And with it the sign-ins of who came by it."""
    gateway = locked.gateway
    made = make(locked, user_id="xenia", expires_days=3 / 86_400).json
    joined = {"Cookie": cookie(join(gateway, made["url"]))}
    assert me(gateway, joined)["user_id"] == "xenia"
    expires = invites_of(locked, "xenia")[0]["expires"]
    rows = gateway.store.rows("SELECT expires, ends FROM sign_ins WHERE user_id = 'xenia'")
    assert rows == [{"expires": expires, "ends": expires}]
    wait_until(expires)
    assert me(gateway, joined) == OUT
    assert_native(join(gateway, made["url"]), 401, "invite_expired")
    assert person(locked, "xenia")["role"] is None


def wait_until(time_ms: int) -> None:
    until(lambda: now_ms() > time_ms, seconds=10)


@pytest.mark.parametrize("secret", ["gw-in-" + "a" * 43, "x", "gw-sk-x"])
def test_nobodys_invitation(locked: Locked, secret: str) -> None:
    """Opens nothing."""
    for look in (True, False):
        reply = call(locked.gateway, "POST", "/auth/invite", {"invite": secret, "look": look}, own(locked.gateway))
        assert_native(reply, 401, "invalid_invite")
    assert call(locked.gateway, "POST", "/auth/invite", {"invite": secret}).status == 403  # no Origin


def test_a_higher_role_takes_the_place_of_a_lower(locked: Locked) -> None:
    """Whose link and sign-ins end at once; a lower one is refused while the higher is there."""
    gateway = locked.gateway
    first = make(locked, user_id="zoe").json
    reviewer = {"Cookie": cookie(join(gateway, first["url"]))}
    second = make(locked, user_id="ZOE", role="lead").json
    assert me(gateway, reviewer) == OUT
    assert_native(join(gateway, first["url"]), 401, "invalid_invite")
    lead = {"Cookie": cookie(join(gateway, second["url"]))}
    assert me(gateway, lead)["role"] == "lead"
    assert_native(make(locked, user_id="zoe"), 409, "conflict")
    assert make(locked, user_id="zoe", role="lead").status == 200  # another link of the same role
    assert me(gateway, lead)["role"] == "lead"
    assert person(locked, "zoe")["role"] == "lead"


def test_projects_are_apart(locked: Locked) -> None:
    """Neither is seen nor taken back from another one; whoever comes by it is in its project."""
    gateway = locked.gateway
    theirs = make(locked, "other", user_id="olga").json
    assert invites_of(locked, "olga") == []
    assert person(locked, "olga") is None
    assert call(gateway, "DELETE", f"/people/invites/{theirs['id']}", key=locked.keys["admin"]).status == 404
    assert me(gateway, {"Cookie": cookie(join(gateway, theirs["url"]))})["project"] == "other"


def test_leads_by_invitation_are_apart(locked: Locked) -> None:
    """They have no key, and still stop and resume only what they asked themselves."""
    gateway = locked.gateway
    ann, _ = invited(gateway, locked.keys["admin"], "lead-ann", "lead")
    ben, _ = invited(gateway, locked.keys["admin"], "lead-ben", "lead")
    asked = call(gateway, "POST", "/chat/stream", {"message": "hi"}, ann).events[0]
    for headers, status in ((ben, 404), (ann, 200)):
        assert call(gateway, "POST", f"/chat/stream/{asked['trace_id']}/stop", headers=headers).status == status
    token = {"X-Feedback-Token": asked["feedback_token"]}
    rating = {"is_correct": True}
    assert call(gateway, "POST", "/feedback", rating, ann | token).status == 200
    for headers in (token, ben | token):
        assert call(gateway, "POST", "/feedback", rating, headers).status == 401
    assert [row["source_id"] for row in gateway.store.assessments(asked["trace_id"])] == ["lead-ann"]


def test_erasing_a_person_signs_out(locked: Locked) -> None:
    """Their invitations go, too."""
    gateway = locked.gateway
    gone, _ = invited(gateway, locked.keys["admin"], "frida@x.com")
    assert call(gateway, "DELETE", "/users/frida@x.com", key=locked.keys["admin"]).status == 200
    until(lambda: me(gateway, gone) == OUT)
    assert person(locked, "frida@x.com") is None
    assert invites_of(locked, "frida@x.com") == []


def test_the_command(locked: Locked) -> None:
    """Prints the link alone; it works at a running server at once."""
    gateway = locked.gateway
    ran = gateway.run("invite", "Gerda@X.com", "--role", "lead", "--expires", "2d", "--labeling-session", "ls-1")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("http://127.0.0.1:8000/#/join?invite=gw-in-")
    assert "public_url" in ran.stderr  # the command doesn't see the server's own --port
    assert "gerda@x.com (lead)" in ran.stderr
    assert me(gateway, {"Cookie": cookie(join(gateway, ran.stdout.strip()))})["role"] == "lead"
    (listed,) = invites_of(locked, "gerda@x.com")
    assert (listed["expires"] - listed["created"], listed["labeling_sessions"]) == (2 * DAY_MS, ["ls-1"])
    again = gateway.run("invite", "gerda@x.com")
    assert (again.returncode, again.stdout) == (1, "")
    assert gateway.run("invite", " ").returncode == 2
    shown = json.loads(gateway.run("invite", "gisa", "--json").stdout)
    assert (shown["user_id"], shown["role"], join(gateway, shown["url"], look=True).status) == ("gisa", "reviewer", 200)
