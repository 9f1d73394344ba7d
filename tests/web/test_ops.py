"""What ops and front ends ask: health, readiness, metrics, configuration, the description, the live feed, reload."""

from __future__ import annotations

import http.client
import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.web.routes import ROUTES
from gateway.wire import native
from tests.conftest import StartGateway
from tests.support.http_client import ask, assert_native, assert_openai, call
from tests.support.servers import GatewayProcess
from tests.web.conftest import CONFIG, Locked


def test_health(edge: GatewayProcess) -> None:
    """The process answers, and the store takes writes."""
    assert call(edge, "GET", "/healthz").json == {"status": "ok"}
    assert call(edge, "GET", "/readyz").json == {"status": "ready"}


def test_config(edge: GatewayProcess) -> None:
    """What a front end needs, and not more: no provider, no address, no key."""
    reply = call(edge, "GET", "/config")
    assert reply.json.pop("version")
    assert {key: value for key, value in reply.json.items() if key != "version"} == {
        "models": ["default", "slow", "echo", "judge"],
        "default_model": "default",
        "dimensions": {"accuracy": {"min": 1, "max": 5}, "tone": {"options": ["too formal", "right"]}},
        "key_required": False,
    }


def test_models(edge: GatewayProcess) -> None:
    """The declared ones, in OpenAI's shape."""
    reply = call(edge, "GET", "/v1/models").json
    assert reply["object"] == "list"
    assert [model["id"] for model in reply["data"]] == ["default", "slow", "echo", "judge"]
    assert all(model["object"] == "model" for model in reply["data"])


@pytest.mark.parametrize("path", ["echo", "demo/lorem-1-0ms", "demo%2Florem-1-0ms"])
def test_a_model(edge: GatewayProcess, path: str) -> None:
    """A client checks a name before it uses it, with slashes as they are or escaped."""
    reply = call(edge, "GET", f"/v1/models/{path}")
    assert (reply.status, reply.json["id"]) == (200, path.replace("%2F", "/"))
    assert reply.json["object"] == "model"


@pytest.mark.parametrize("path", ["nobody", "nobody/there", "%00"])
def test_a_model_that_is_not_there(edge: GatewayProcess, path: str) -> None:
    """As OpenAI says it."""
    assert_openai(call(edge, "GET", f"/v1/models/{path}"), 404, "model_not_found")


def test_a_gateway_of_families(start_gateway: StartGateway) -> None:
    """Each name that begins so is answered; the patterns aren't listed, and no name is the default."""
    gateway = start_gateway({"models": {"fast/*": {"targets": ["demo/lorem-*"]}}})
    asked = call(gateway, "POST", "/chat", {"message": "Hi", "model": "fast/2-0ms"}).json
    assert (asked["response"], asked["model"]) == ("lorem ipsum", "fast/2-0ms")
    assert call(gateway, "GET", "/v1/models").json["data"] == []  # the demo has names without end
    config = call(gateway, "GET", "/config").json
    assert (config["models"], config["default_model"]) == ([], "")
    refused = call(gateway, "POST", "/chat", {"message": "Hi"})
    assert (refused.status, refused.json["code"]) == (404, "model_not_found")


def test_a_family_has_the_names_that_its_provider_lists(edge: GatewayProcess, start_gateway: StartGateway) -> None:
    """With what the family's begin with, after the declared ones; here the provider is another gateway."""
    providers = {"inner": {"base_url": edge.url + "/v1"}}
    models = {"inner/*": {"targets": ["inner/*"]}, "inner/echo": {"targets": ["demo/echo"]}}
    gateway = start_gateway({"providers": providers, "models": models})
    listed = [model["id"] for model in call(gateway, "GET", "/v1/models").json["data"]]
    assert listed == ["inner/echo", "inner/default", "inner/slow", "inner/judge"]
    assert ask(gateway, model="inner/default")["response"] == "lorem ipsum dolor"


def test_metrics(edge: GatewayProcess) -> None:
    """Prometheus' format: every sample has a name of the gateway's or the process's, and the counts are right."""

    def value(name: str, **labels: str) -> float:
        text = call(edge, "GET", "/metrics").body.decode()
        found = [
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if re.match(rf"{name}(?:{{|\s)", line) and all(f'{k}="{v}"' in line for k, v in labels.items())
        ]
        return sum(found)

    reply = call(edge, "GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    names = {line.split("{")[0].split(" ")[0] for line in reply.body.decode().splitlines() if line[0] != "#"}
    assert all(re.fullmatch(r"(gateway|process|python)_[a-z_]+", name) for name in names), names
    refused = "gateway_refused_total"
    before = value(refused, status="422"), value("gateway_requests_total", model="default", outcome="complete")
    ask(edge)
    call(edge, "POST", "/chat", {"message": ""})
    after = value(refused, status="422"), value("gateway_requests_total", model="default", outcome="complete")
    assert after == (before[0] + 1, before[1] + 1)
    assert value("gateway_running_streams") >= 0


def test_metrics_have_no_stranger_s_words(edge: GatewayProcess) -> None:
    """A label's values are bounded, whatever callers name."""
    trace_id = ask(edge, model="demo/lorem-1-0ms")["trace_id"]
    call(edge, "POST", f"/feedback?trace_id={trace_id}", {"name": "stranger_name", "value": 1})
    text = call(edge, "GET", "/metrics").body
    assert b"lorem-1-0ms" not in text
    assert b"stranger_name" not in text


def test_the_description(edge: GatewayProcess) -> None:
    """OpenAPI 3.1: every route with its method is in it, and every reference leads somewhere."""
    document = call(edge, "GET", "/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"]
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES}
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"]
            assert {"200", "204", "302"} & set(operation["responses"])
            assert all(response["description"] for response in operation["responses"].values())
            inside = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert inside == set(re.findall(r"{(\w+)}", path))
            assert all(p["schema"] and p["in"] in ("path", "query", "header") for p in operation.get("parameters", ()))
            refuses = bool({"401", "403"} & set(operation["responses"]))
            assert ("security" in operation) is (refuses and not path.startswith("/auth/"))  # which are the way in
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_bodies_are_described_by_what_decodes_them(edge: GatewayProcess) -> None:
    """The chat body's fields are the decoding type's."""
    document = call(edge, "GET", "/openapi.json").json
    body = document["paths"]["/chat"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    fields = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"]
    assert list(fields) == list(native.ChatBody.__struct_fields__)
    assert "maxLength" in json.dumps(fields["session_id"])
    rating = document["paths"]["/feedback"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert {one["$ref"].rpartition("/")[2] for one in rating["anyOf"]} == {"Thumb", "General"}


@contextmanager
def listening(gateway: GatewayProcess, key: str | None = None) -> Iterator[Iterator[dict[str, Any]]]:
    """The live feed's events, with the name of each under `name`."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request("GET", "/events", headers={"Authorization": f"Bearer {key}"} if key else {})
    reply = connection.getresponse()
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["x-request-id"]

    def events() -> Iterator[dict[str, Any]]:
        name = ""
        while line := reply.readline():
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield {**json.loads(value), "name": name}

    try:
        yield events()
    finally:
        connection.close()


def test_the_live_feed(locked: Locked) -> None:
    """A chat and its rating appear as they happen, also a chat that failed and a retraction."""
    gateway, key = locked.gateway, locked.keys["admin"]
    with listening(gateway, key) as events:
        trace_id = ask(gateway, key=key, user_id="ann")["trace_id"]
        chat = next(events)
        assert (chat["name"], chat["trace_id"], chat["outcome"]) == ("chat", trace_id, "complete")
        assert (chat["user_id"], chat["model"], chat["preview"]) == ("ann", "default", "hi")
        target = f"/feedback?trace_id={trace_id}&user_id=ann"
        call(gateway, "POST", target, {"is_correct": False, "comment": "no\n\ndata: x"}, key=key)
        rating = next(events)
        assert (rating["name"], rating["trace_id"], rating["value"]) == ("user_feedback", trace_id, False) or (
            rating["event"],
            rating["value"],
            rating["comment"],
        ) == ("rating", False, "no\n\ndata: x")
        call(gateway, "DELETE", target + "&name=user_feedback", key=key)
        assert next(events)["value"] is None


def test_the_live_feeds_pings_end_by_one_line_end(start_gateway: StartGateway) -> None:
    """A blank line after a comment would be an empty message to many readers; and no proxy may hold the feed back."""
    gateway = start_gateway(CONFIG | {"streaming": {"heartbeat_s": 1}})
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request("GET", "/events")
    reply = connection.getresponse()
    assert reply.headers["cache-control"] == "no-cache, no-transform"
    assert [reply.readline(), reply.readline()] == [b": ping\n", b": ping\n"]
    connection.close()


def test_the_live_feed_ends_with_the_server(start_gateway: StartGateway) -> None:
    """Its clients see the end of the response, and nobody waits for them."""
    gateway = start_gateway(CONFIG)
    with listening(gateway) as events:
        ask(gateway)
        assert next(events)["outcome"] == "complete"
        gateway.signal(signal.SIGTERM)
        assert list(events) == []
    assert gateway.wait() == 0


def test_readiness_ends_with_the_drain(start_gateway: StartGateway) -> None:
    """503 with Retry-After while running streams get their time; new chats are refused; the process is healthy."""
    gateway = start_gateway(CONFIG | {"server": {"drain_s": 1}})
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    body = json.dumps({"message": "hi", "model": "slow"})
    connection.request("POST", "/chat/stream", body, {"Content-Type": "application/json"})
    reply = connection.getresponse()
    assert b"connected" in reply.readline()
    gateway.signal(signal.SIGTERM)
    while (ready := call(gateway, "GET", "/readyz")).status == 200:
        time.sleep(0.01)
    assert_native(ready, 503, "server_shutdown")
    assert ready.headers["retry-after"]
    assert call(gateway, "GET", "/healthz").status == 200
    refused = call(gateway, "POST", "/chat", {"message": "hi"})
    assert_native(refused, 503, "server_shutdown")
    assert refused.headers["retry-after"]
    openai = call(gateway, "POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
    assert (openai.status, openai.json["error"]["code"]) == (503, "server_shutdown")
    assert b'"code":"server_shutdown"' in reply.read()
    connection.close()
    assert gateway.wait() == 0


def test_reload(start_gateway: StartGateway) -> None:
    """A changed file's models and dimensions count for new requests; an invalid one is logged, and the old stays."""
    gateway = start_gateway(CONFIG)
    trace_id = ask(gateway)["trace_id"]
    mood = {"feedback": {"dimensions": {"mood": {"min": 0, "max": 10}}}}
    models = CONFIG["models"] | {"fresh": {"targets": ["demo/lorem-1-0ms"]}}
    origin = {"server": CONFIG["server"] | {"cors_origins": ["https://new.example"]}}
    gateway.write_config(CONFIG | mood | origin | {"models": models})
    until(lambda: "fresh" in call(gateway, "GET", "/config").json["models"])
    assert ask(gateway, model="fresh")["response"] == "lorem"
    assert call(gateway, "POST", f"/detailed-feedback?trace_id={trace_id}&mood=7").status == 200
    assert call(gateway, "POST", f"/detailed-feedback?trace_id={trace_id}&accuracy=4").status == 422
    headers = call(gateway, "GET", "/config", None, {"Origin": "https://new.example"}).headers
    assert headers["access-control-allow-origin"] == "https://new.example"

    gateway.write_config("[server]\nprot = 1\n")
    gateway.signal(signal.SIGHUP)
    until(lambda: "$.server.prot" in gateway.stdout_path.read_text() + gateway.stderr_path.read_text())
    assert "fresh" in call(gateway, "GET", "/config").json["models"]
    gateway.write_config(CONFIG)
    gateway.signal(signal.SIGHUP)
    until(lambda: "fresh" not in call(gateway, "GET", "/config").json["models"])
    assert_native(call(gateway, "POST", "/chat", {"message": "hi", "model": "fresh"}), 404, "model_not_found")


def until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.03)


@pytest.mark.parametrize("path", ["/metrics", "/events"])
def test_ops_routes_are_for_admins(locked: Locked, path: str) -> None:
    """Where keys are required."""
    assert_native(call(locked.gateway, "GET", path), 401, "unauthorized")
    for role in ("chat", "review"):
        assert_native(call(locked.gateway, "GET", path, key=locked.keys[role]), 403, "forbidden")
