"""Makes one right call of each tool call that a provider sends, in whatever pieces.

Format: OpenAI API reference, "Chat completion chunk object": the first piece of a call has its ID and name, later ones
have more of its arguments, and all have its `index`. Servers send null, empty, new or repeated IDs and names, no index
or always 0, and arguments that are an object. What leaves here is as the format says, with indexes from 0 on. It does
no I/O. Called by upstream.py, for each choice.
"""

from __future__ import annotations

from typing import Any

import msgspec

_encode = msgspec.json.encode
_OWN = frozenset(("index", "id", "type", "function", "custom"))  # fields of a piece that are written anew
_BODIES = (("custom", "input"), ("function", "arguments"))  # where the name and the arguments are


class _Call:
    __slots__ = ("arguments", "given_id", "given_index", "id", "name", "number")

    def __init__(self, number: int, call_id: str, given_id: str, given_index: int | None) -> None:
        self.number, self.id, self.given_id, self.given_index = number, call_id, given_id, given_index
        self.name = ""
        self.arguments: list[str] = []

    @property
    def whole(self) -> bool:
        """Return whether the arguments are all there."""
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        try:
            msgspec.json.decode("".join(self.arguments))
        except ValueError:
            return False
        return True

    def goes_on(self, name: str, arguments: str, index: int | None) -> bool:
        """Return whether a piece with this name can be one of this call, since many servers repeat the name."""
        if not name or not self.name:
            return True
        if not self.arguments:
            return name == self.name or (not arguments and index is not None)  # or the name comes in pieces
        return name == self.name and (not arguments or not self.whole or arguments == "".join(self.arguments))


class ToolCalls:
    """The calls of one choice. `seed` makes the IDs unlike those of other answers, where the provider gives none."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}  # the newest with each of the provider's indexes
        self._by_id: dict[str, _Call] = {}

    def pieces(self, given: Any, *, whole: bool = False) -> list[dict[str, Any]]:
        """Return the pieces of one `tool_calls` as they should be. `whole`: each is a call of its own."""
        listed = given if isinstance(given, list) else [given]
        return [piece for each in listed if (piece := self.piece(each, whole=whole)) is not None]

    def piece(self, given: Any, *, whole: bool = False) -> dict[str, Any] | None:
        """Return the piece as it should be, or None where it says nothing. `whole`: it is a call of its own."""
        if not isinstance(given, dict):
            return None
        if len(given) == 2 and not whole and (piece := self._plain(given)) is not None:
            return piece
        kind, field = next((each for each in _BODIES if isinstance(given.get(each[0]), dict)), _BODIES[1])
        body: dict[str, Any] = said if isinstance(said := given.get(kind), dict) else {}
        name, index = _text(body.get("name")), given.get("index")
        index = index if type(index) is int else None
        call_id, arguments = _text(given.get("id")), _text(body.get(field))
        more = {key: value for key, value in given.items() if value is not None and key not in _OWN}
        out = {key: value for key, value in body.items() if value is not None and key not in ("name", field)}
        if not (call_id or name or arguments or more or out):
            return None
        call = None if whole else self._find(index, call_id, name, arguments)
        head: dict[str, Any] = {}
        if call is None:
            call = self._begin(index, call_id)
            head = {"id": call.id, "type": _text(given.get("type")) or kind}
        if name and name != call.name:
            call.name += name
            out["name"] = name
        if arguments and self._repeats(call, name, arguments, text=isinstance(body.get(field), str)):
            arguments = ""
        if not (head or out or more or arguments):
            return None
        if arguments:
            call.arguments.append(arguments)
        out[field] = arguments  # always a text, as clients expect it
        return {"index": call.number, **head, kind: out, **more}

    def _plain(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """Return a piece that is right as it is but for its index, as most are: more arguments of a known call."""
        index, body = given.get("index"), given.get("function")
        if type(index) is not int or type(body) is not dict or len(body) != 1:
            return None
        call, arguments = self._by_index.get(index), body.get("arguments")
        if call is None or type(arguments) is not str or not arguments:
            return None
        call.arguments.append(arguments)
        return given if call.number == index else {"index": call.number, "function": body}

    def _find(self, index: int | None, call_id: str, name: str, arguments: str) -> _Call | None:
        """Return the call that a piece belongs to, or None where it begins another."""
        if not self._calls:
            return None
        current = self._calls[-1] if index is None else self._by_index.get(index)
        if call_id and (current is None or current.given_id != call_id):
            known = self._by_id.get(call_id)
            if known is not None:  # two calls with one ID are told apart by their index
                return known if index is None or not name else None
            if current is None or not name:
                return current  # an ID made anew for each piece, unless a call begins with it
            partial = name == current.name and current.arguments and not current.whole
            return current if partial else None
        if current is None:  # more of a call whose index is another now
            return None if name else self._calls[-1]
        return current if current.goes_on(name, arguments, index) else None

    def _begin(self, index: int | None, call_id: str) -> _Call:
        number = len(self._calls)
        unique = call_id if call_id and call_id not in self._by_id else f"call_{self._seed}_{number}"
        call = _Call(number, unique, call_id, index)
        self._calls.append(call)
        if call_id:
            self._by_id.setdefault(call_id, call)
        if index is not None:
            self._by_index[index] = call
        return call

    @staticmethod
    def _repeats(call: _Call, name: str, arguments: str, *, text: bool) -> bool:
        """Return whether these arguments are there already: the call was sent once more, as a whole."""
        if not call.arguments:
            return False
        return not text or (bool(name) and arguments == "".join(call.arguments) and call.whole)


def _text(value: Any) -> str:
    """Return a text; that of a value which should have been one; nothing for null."""
    if isinstance(value, str):
        return value
    return "" if value is None else _encode(value).decode()
