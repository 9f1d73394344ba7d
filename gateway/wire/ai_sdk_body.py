"""What AI SDK clients send beside the messages, as a provider takes it: tools, system, settings; and whose chat it is.

assistant-ui's transport puts `system`, `tools`, `callSettings`, `config` and `metadata` into each body. A strict
provider refuses what it doesn't know, so they are translated, and what has no counterpart is dropped. Sources:
`AssistantChatTransport.ts` of the package @assistant-ui/ai-sdk, and the AI SDK's docs, "Settings". Sans-I/O; called by
ai_sdk.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

_SETTINGS = {
    "maxTokens": "max_tokens",
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "seed": "seed",
    "stopSequences": "stop",
}
_CONFIG = {"modelName": "model", "reasoningEffort": "reasoning_effort"}
_OWN = ("tools", "system", "callSettings", "config", "metadata")
# What assistant-ui's clients say of their own state.
_DROPPED = ("runConfig", "state", "threadId", "parentId", "unstable_assistantMessageId")
_NO_PARAMETERS = {"type": "object", "properties": {}}
_MOST_PAIRS, _NAME_CHARS, _VALUE_CHARS = 50, 250, 8000  # as chat_body.Tags has it

_encode = msgspec.json.encode


def translate(fields: dict[str, msgspec.Raw]) -> list[dict[str, Any]]:
    """Replace what is the client's own by the provider's parameters. Return the system messages that were among it.

    A parameter that is there under the provider's name stays.
    """
    own = {name: msgspec.json.decode(fields.pop(name)) for name in _OWN if name in fields}
    for name in _DROPPED:
        fields.pop(name, None)
    found = _renamed(own.get("config"), _CONFIG) | _renamed(own.get("callSettings"), _SETTINGS)
    for name, ours in _SETTINGS.items():
        if name != ours and name in fields:
            found[ours] = fields.pop(name)
    found["tools"] = _tools(own.get("tools"))
    found["metadata"] = _pairs(own.get("metadata"))
    for name, value in found.items():
        if value:
            fields.setdefault(name, msgspec.Raw(_encode(value)))
    return list(_system(own.get("system")))


def newest_token(metadata: Iterable[Any]) -> str | None:
    """Return the last feedback token of a history, given the metadata of its messages."""
    newest = None
    for each in map(_object, metadata):
        token = each.get("feedbackToken") or _object(each.get("custom")).get("feedbackToken")
        if isinstance(token, str):
            newest = token
    return newest


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _renamed(given: Any, names: Mapping[str, str]) -> dict[str, Any]:
    return {names[name]: value for name, value in _object(given).items() if name in names and value is not None}


def _tools(given: Any) -> list[dict[str, Any]]:
    """Return tools in OpenAI's form: of an object by their names, or of a list in that form or in the SDK's own."""
    named = [(name, _object(tool)) for name, tool in _object(given).items()]
    named += [(str(tool.get("name", "")), tool) for tool in map(_object, _list(given))]
    return [tool if "function" in tool or "custom" in tool else _tool(name, tool) for name, tool in named if tool]


def _tool(name: str, tool: dict[str, Any]) -> dict[str, Any]:
    schema = _object(tool.get("parameters") or tool.get("inputSchema"))
    schema = _object(schema.get("jsonSchema")) or schema  # the SDK's `jsonSchema()` wraps it so
    function: dict[str, Any] = {"name": name}
    if isinstance(description := tool.get("description"), str):
        function["description"] = description
    function["parameters"] = {key: value for key, value in schema.items() if key != "$schema"} or _NO_PARAMETERS
    return {"type": "function", "function": function}


def _system(given: Any) -> Iterator[dict[str, Any]]:
    """Yield system messages: of a text, or of messages that have one as their content."""
    for each in given if isinstance(given, list) else [given]:
        text = each.get("content") if isinstance(each, dict) else each
        if isinstance(text, str) and text.strip():
            yield {"role": "system", "content": text}


def _pairs(given: Any) -> dict[str, str]:
    """Return those pairs that a chat's metadata can hold."""
    kept = [
        (name, value)
        for name, value in _object(given).items()
        if isinstance(value, str) and 0 < len(name) <= _NAME_CHARS and len(value) <= _VALUE_CHARS
    ]
    return dict(kept[:_MOST_PAIRS])
