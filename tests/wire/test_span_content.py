"""What a span holds: a chat's and a client's, cut and whole."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.wire.span_content import FIELD_BYTES, Content, write_span
from gateway.wire.traces import SpanItem

SPAN = SpanItem("0" * 16, None, "answer", "CHAT_MODEL", 1, 2, "OK")


def reply(full: bool = False, **over: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"message": None, "attributes": "{}", "otlp": None, "request": None, "response": None}
    found: dict[str, Any] = json.loads(write_span("tr-1", SPAN, Content(**(fields | over)), full=full))
    return found


def otlp(attributes: dict[str, Any], **over: Any) -> str:
    pairs = [{"key": key, "value": value} for key, value in attributes.items()]
    return json.dumps({"attributes": pairs, **over})


def test_a_chat() -> None:
    """Its root has what was asked and answered."""
    found = reply(request='[{"role":"user"}]', response='[{"role":"assistant"}]', attributes='{"a":1}')
    assert found == {
        "trace_id": "tr-1",
        **msgspec.structs.asdict(SPAN),
        "message": None,
        "inputs": {"messages": [{"role": "user"}]},
        "outputs": {"choices": [{"index": 0, "message": {"role": "assistant"}}]},
        "attributes": {"a": 1},
        "events": [],
        "cut": [],
    }
    assert (reply()["inputs"], reply()["outputs"]) == (None, None)


def test_a_clients_span() -> None:
    """Its values are plain again, and what was wrapped in JSON once more is unwrapped."""
    values = {
        "mlflow.spanInputs": {"string_value": '{"q": 1}'},
        "mlflow.spanOutputs": {"string_value": '"text"'},
        "broken": {"string_value": "{no"},
        "whole": {"int_value": "5"},
        "list": {"array_value": {"values": [{"bool_value": True}, {}]}},
        "none of them": {"array_value": {}},
        "pairs": {"kvlist_value": {"values": [{"key": "k", "value": {"double_value": 0.5}}, {"key": "n"}]}},
        "no pairs": {"kvlist_value": {}},
    }
    event = {"name": "exception", "time_unix_nano": "5000000", "attributes": [{"key": "m"}]}
    found = reply(otlp=otlp(values, events=[event, {}]))
    assert (found["inputs"], found["outputs"]) == ({"q": 1}, "text")
    assert found["attributes"] == {
        "broken": "{no",
        "whole": 5,
        "list": [True, None],
        "none of them": [],
        "pairs": {"k": 0.5, "n": None},
        "no pairs": {},
    }
    assert found["events"] == [
        {"name": "exception", "time": 5, "attributes": {"m": None}},
        {"name": None, "time": 0, "attributes": {}},
    ]


def test_what_is_long_is_cut() -> None:
    """A field keeps its form, and says that its end is missing; `full` gives all."""
    messages = [{"role": "user", "content": "ä" * 100_000}, {"role": "user", "content": "never reached"}]
    found = reply(request=json.dumps(messages), attributes=json.dumps({"a": "b" * 70_000, "c": "short"}))
    (kept,) = found["inputs"]["messages"]
    assert 60_000 < len(kept["content"].encode()) <= FIELD_BYTES
    assert set(kept["content"]) == {"ä"}
    assert found["attributes"]["c"] == "short"
    assert found["cut"] == ["attributes.a", "inputs"]
    assert reply(full=True, request=json.dumps(messages))["inputs"]["messages"] == messages
    assert reply(full=True, request=json.dumps(messages))["cut"] == []


def test_what_is_many_is_cut() -> None:
    """Lists and objects end where the room does, and what is nested too deep is left out."""
    found = reply(
        response=json.dumps([{"n": list(range(100_000))}]),
        attributes=json.dumps({"o": {str(n): n for n in range(20_000)}}),
    )
    assert 0 < len(found["outputs"]["choices"][0]["message"]["n"]) < 10_000
    assert 0 < len(found["attributes"]["o"]) < 10_000
    assert found["cut"] == ["attributes.o", "outputs"]
    deep = '{"a":' * 200 + "1" + "}" * 200
    assert reply(attributes=f'{{"deep":{deep}}}')["cut"] == ["attributes.deep"]
