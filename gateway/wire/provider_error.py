"""What a provider's error means to the caller, whatever shape it has: by HTTP status, and by what is said in the body.

Formats: OpenAI's `{"error": {"message", "type", "code", "param"}}`, and what servers that call themselves compatible
send in its place: text, lists, FastAPI's `detail`, numbers as codes, errors in a stream. It does no I/O. Called by
upstream.py and by providers/, which also takes out what only it knows to be private.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.errors import (
    ProviderBusy,
    ProviderError,
    ProviderQuota,
    ProviderRefused,
    ProviderUnavailable,
)
from gateway.wire.redact import redact
from gateway.wire.repair import decode_repaired

_REFUSED = (400, 402, 404, 413, 422)  # the request's own fault, or the account's: passed on as they are
_QUOTA = {
    "insufficient_quota", "insufficient_user_quota", "exceeded_current_quota_error", "insufficient_balance",
    "billing_hard_limit_reached", "billing_not_active",
}  # fmt: skip
_STATUS_OF_WORD = {
    "invalid_request_error": 400, "invalid_argument": 400, "badrequesterror": 400, "context_length_exceeded": 400,
    "content_filter": 400, "content_policy_violation": 400, "authentication_error": 401, "invalid_api_key": 401,
    "unauthenticated": 401, "permission_error": 403, "permission_denied": 403, "billing_error": 402,
    "insufficient_credits": 402, "payment_required": 402, "model_not_found": 404, "not_found_error": 404,
    "not_found": 404, "notfounderror": 404, "request_too_large": 413, "resource_exhausted": 429,
    "too_many_requests": 429, **dict.fromkeys(_QUOTA, 429),
}  # fmt: skip
_TEXTS = ("message", "msg", "detail", "error", "error_message", "error_description", "text", "title", "Message")
_MOST_NESTED, _MOST_LISTED = 5, 5


def says_something(value: Any) -> bool:
    """Return False for the empty values that servers with a fixed schema put where no error is."""
    if isinstance(value, dict):
        return any(map(says_something, value.values()))
    if isinstance(value, list):
        return any(map(says_something, value))
    return bool(value.strip() if isinstance(value, str) else value)


def error_in_stream(value: Any) -> ProviderError:
    """Return an error that came within a 200, as the error of the status that it would have had."""
    fields = _fields(value)
    message = redact(_text(fields)) or "The provider reported an error."
    status = _status(fields)
    if status == 429 and not _is_quota(fields):
        return ProviderBusy(message)
    if status is None or status >= 500:
        return ProviderError(message)
    return _by_status(status, fields, message)


def error_of_chunk(error: Any, payload: bytes) -> ProviderError | None:
    """Return the error that a chunk is in place of an answer, by its `error` or, where it has no choices, by its other
    fields; None for a healthy one, whose `error` may be empty."""
    if says_something(error) and isinstance(error, dict | list):
        return error_in_stream(error)
    whole = decode_repaired(payload)
    odd = "error" in (whole.get("object"), whole.get("type")) or says_something(whole.get("error_code"))
    return error_in_stream(whole) if odd or says_something(error) else None


def error_of_frame(frame: bytes, data: bytes | None) -> ProviderError | None:
    """Return the error that a frame is by its name (`event: error`), by its field (`error: …`, as of llama.cpp), or as
    bare JSON amid the stream. `data` is the frame's, if it has some."""
    lines = [line.partition(b":") for line in frame.split(b"\n")]
    if any(name == b"event" and value.strip() == b"error" for name, _, value in lines):
        return error_in_stream(_decoded(data or b""))
    if data is not None:
        return None
    for name, _, value in lines:
        if name == b"error":
            return error_in_stream(_decoded(value))
    bare = _decoded(frame) if frame.lstrip().startswith(b"{") else None
    return error_in_stream(bare) if isinstance(bare, dict) and says_something(bare.get("error")) else None


def without_errors(payload: bytes) -> bytes:
    """Return a frame with what a chunk says beside the errors in its choices, whose words may have keys in them."""
    chunk = decode_repaired(payload)
    chunk["choices"] = [{**choice, "finish_reason": None} for choice in chunk["choices"]]
    for choice in chunk["choices"]:
        choice.pop("error", None)
    return b"data: " + msgspec.json.encode(chunk)


def error_of_status(status: int, body: bytes, retry_after: float | None = None) -> ProviderError:
    """Return the error that an HTTP status other than a good one means. `retry_after` is in seconds."""
    fields = _fields(_decoded(body))
    message = redact(_text(fields)) if status in _REFUSED else ""
    if status == 413 and not message:
        message = "The provider says that the request is too large."
    error = _by_status(status, fields, message or f"The provider answered {status}.", retry_after)
    error.upstream_status = status
    return error


def scrub(error: ProviderError, private: Sequence[str]) -> None:
    """Take out of an error what only its provider knows to be private: its key, its address."""
    error.message = redact(error.message, private)
    if error.said is not None:
        code, kind, param = error.said
        error.said = _word(code, private), _word(kind, private), _word(param, private)


def _by_status(status: int, fields: dict[str, Any], message: str, retry_after: float | None = None) -> ProviderError:
    if status in _REFUSED:
        return _with_words(ProviderRefused(message, status=status), fields)
    if status == 429 and _is_quota(fields):
        quota = ProviderQuota("The provider's quota for this gateway is used up.")
        return _with_words(quota, fields)
    if status == 429:
        return ProviderBusy("The provider is limiting requests. Please try again later.", retry_after=retry_after)
    if status in (401, 403):
        return ProviderError("The provider refused this gateway's credentials.")
    if status == 503 and retry_after is not None:
        return ProviderUnavailable("The provider isn't available. Please try again later.", retry_after=retry_after)
    return ProviderError(message)


def _with_words(error: ProviderError, fields: dict[str, Any]) -> ProviderError:
    """Put code, type and param as the provider has them onto the error, for the wire that passes them on."""
    code = _code(fields)
    code = None if _http_status(code) else code  # which says no more than the status itself
    error.said = _word(code), _word(fields.get("type", fields.get("error_type"))), _word(fields.get("param"))
    return error


def _decoded(body: bytes) -> Any:
    """Return the JSON of a body, or else its text, unless that is a web page."""
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        return decode_repaired(body)
    except (ValueError, RecursionError):
        return "" if body.startswith(b"<") else body.decode("utf-8", "replace")


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of an error, from wherever in its document they are."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {"message": value}
    inner = value.get("error")
    if isinstance(inner, list) and inner:
        inner = inner[0]
    if isinstance(inner, dict) and says_something(inner):
        return inner
    return {**value, "message": inner} if isinstance(inner, str) and inner else value


def _text(value: Any, depth: int = 0) -> str:
    """Return the words for people in an error. FastAPI's `detail` is a list with the place and the words of each."""
    if isinstance(value, str):
        return value.strip()
    if depth < _MOST_NESTED and isinstance(value, list):
        return "; ".join(filter(None, (_text(each, depth + 1) for each in value[:_MOST_LISTED])))
    if depth < _MOST_NESTED and isinstance(value, dict):
        found = next(filter(None, (_text(value.get(name), depth + 1) for name in _TEXTS)), "")
        place = value.get("loc")
        return f"{'.'.join(map(str, place))}: {found}" if found and isinstance(place, list) else found
    return ""


def _status(fields: dict[str, Any]) -> int | None:
    """Return the HTTP status that an error within a 200 names, by a number or by a word; None where it names none."""
    named = [_code(fields), *(fields.get(name) for name in ("status", "status_code", "type", "error_type"))]
    for value in named:
        if number := _http_status(value):
            return number
    for value in named:
        word = value.lower() if isinstance(value, str) else ""
        if word in _STATUS_OF_WORD:
            return _STATUS_OF_WORD[word]
        if "rate_limit" in word or "throttl" in word:
            return 429
    return None


def _http_status(value: Any) -> int | None:
    """Return an error status, which may come as text or as a float; None for any other value."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        value = int(value)
    return int(value) if type(value) in (int, float) and 400 <= value < 600 else None


def _is_quota(fields: dict[str, Any]) -> bool:
    """Return True where money or a plan is at its end, which waiting doesn't change."""
    return any(isinstance(word, str) and word.lower() in _QUOTA for word in (_code(fields), fields.get("type")))


def _code(fields: dict[str, Any]) -> Any:
    return fields.get("code", fields.get("error_code"))


def _word(word: Any, private: Sequence[str] = ()) -> str | None:
    """Return a code, type or param as text; None for one that is empty, or has something to hide."""
    text = str(word) if type(word) in (str, int) and word else ""
    return text if text and redact(text, private, 200) == text else None
