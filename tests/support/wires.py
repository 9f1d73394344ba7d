"""What came over a wire, taken apart without any code of the gateway's: by the client loop that users write."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


class Reply:
    """An HTTP reply, whole. `payloads` are the texts after `data:` in order; CRLF and comments are allowed."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def payloads(self) -> list[bytes]:
        # bytes.splitlines knows \n, \r and \r\n only: an answer may hold U+2028
        return [line[5:].strip() for line in self.body.splitlines() if line.startswith(b"data:")]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads if payload != b"[DONE]"]


def request(method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
    """Send JSON, read the reply to its end."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        data = None if body is None else json.dumps(body).encode()
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, data, {"Content-Type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def text_of(events: list[dict[str, Any]], kind: str = "token") -> str:
    """The text that native events carry, joined as a browser joins it: halves of a character find each other."""
    return joined(event["content"] for event in events if event["type"] == kind)


def joined(pieces: Any) -> str:
    """Pieces as one string; a character cut into two escapes, which JSON allows, becomes one again."""
    return "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def fold(chunks: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """OpenAI's chunks, folded: by choice the text, reasoning, refusal, tool calls and finish reason."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for choice in chunk.get("choices", ()):
            into = choices.setdefault(choice["index"], {"content": [], "reasoning": [], "refusal": [], "tools": {}})
            delta = choice.get("delta") or {}
            into["content"].append(delta.get("content") or "")
            into["reasoning"].append(delta.get("reasoning_content") or delta.get("reasoning") or "")
            into["refusal"].append(delta.get("refusal") or "")
            for call in delta.get("tool_calls") or ():
                kept = into["tools"].setdefault(call["index"], {"arguments": ""})
                kept |= {key: call[key] for key in ("id", "type") if call.get(key)}
                function = call.get("function") or {}
                kept |= {"name": function["name"]} if function.get("name") else {}
                kept["arguments"] += function.get("arguments") or ""
            into["finish_reason"] = choice.get("finish_reason") or into.get("finish_reason")
    for into in choices.values():
        for key in ("content", "reasoning", "refusal"):
            into[key] = joined(into[key])
    return choices


def without_trace_id(payload: bytes) -> Any:
    """A chunk as the provider sent it: the gateway may add `trace_id`, and only where there is a finish reason."""
    value = json.loads(payload)
    if any(choice.get("finish_reason") for choice in value.get("choices", ())):
        value.pop("trace_id", None)
    return value
