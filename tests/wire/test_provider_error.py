"""What a provider's error means: by its status, by its words, and what of it goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import ProviderBusy, ProviderError, ProviderQuota, ProviderRefused, ProviderUnavailable
from gateway.wire.provider_error import error_in_stream, error_of_status, scrub


def refusal(status: int, body: Any, retry_after: float | None = None) -> ProviderError:
    return error_of_status(status, body if isinstance(body, bytes) else json.dumps(body).encode(), retry_after)


@pytest.mark.parametrize("status", [400, 402, 404, 413, 422])
def test_what_the_request_or_the_account_is_to_blame_for_passes_on(status: int) -> None:
    """With its status, its words, and its code, type and param, which programs look at."""
    error = refusal(
        status, {"error": {"message": "Too long.", "type": "t", "code": "c", "param": "messages[0].content"}}
    )
    assert isinstance(error, ProviderRefused)
    assert (error.status, error.upstream_status, error.retryable) == (status, status, False)
    assert (error.message, error.said) == ("Too long.", ("c", "t", "messages[0].content"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"message": "Plain."}, "Plain."),
        ({"error": "Words."}, "Words."),
        ([{"error": {"message": "Gemini's list."}}], "Gemini's list."),
        ({"error": {"error": {"msg": "Nested."}}}, "Nested."),
        ({"detail": [{"loc": ["body", 0, "n"], "msg": "too many"}, {"msg": "odd"}]}, "body.0.n: too many; odd"),
        ({"message": {"detail": [{"loc": ["body"], "msg": "Extra"}]}}, "body: Extra"),
        ({"error": [{"message": "Listed."}]}, "Listed."),
        ({"error": ""}, "The provider answered 400."),
        ({"error": [], "title": "By title."}, "By title."),
        ({"error": {"message": 7}}, "The provider answered 400."),
        ([[[[[[["too deep"]]]]]]], "The provider answered 400."),
        (b"Just text.", "Just text."),
        (b'\xef\xbb\xbf{"message": "After a mark."}', "After a mark."),
        (b"<html>A page</html>", "The provider answered 400."),
        (b"", "The provider answered 400."),
        (b"[" * 5000, "[" * 500),
        ({"message": "at https://10.0.0.1/v1 with sk-abcdefgh12"}, "at … with …"),
    ],
)
def test_the_words_are_found_wherever_they_are(body: Any, message: str) -> None:
    """Redacted, and a sentence of our own where there are none."""
    assert refusal(400, body).message == message


def test_a_size_that_is_too_large_is_said_in_words() -> None:
    """Proxies answer 413 with a page."""
    assert refusal(413, b"<html>").message == "The provider says that the request is too large."


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"code": 400, "type": "BadRequestError"}, (None, "BadRequestError", None)),
        ({"code": "400"}, (None, None, None)),
        ({"code": 1234}, ("1234", None, None)),
        ({"code": "", "type": None, "param": 0}, (None, None, None)),
        ({"code": True, "type": ["x"], "param": {}}, (None, None, None)),
        ({"code": "at 10.0.0.1:80", "error_type": "validation", "param": "x" * 300}, (None, "validation", None)),
        ({"error_code": "context_length_exceeded"}, ("context_length_exceeded", None, None)),
    ],
)
def test_a_code_goes_on_where_it_says_something(fields: dict[str, Any], said: Any) -> None:
    """A number that is the status again doesn't, nor what has an address in it."""
    assert refusal(400, {"error": {"message": "No.", **fields}}).said == said


def test_a_quota_is_told_from_a_rate_limit() -> None:
    """Waiting helps against one of them alone."""
    busy = refusal(429, {"error": {"message": "org-1", "code": "rate_limit_exceeded", "type": "tokens"}}, 7)
    assert isinstance(busy, ProviderBusy)
    assert (busy.retry_after, busy.said, "org" in busy.message) == (7, None, False)
    for fields in ({"code": "insufficient_quota"}, {"code": None, "type": "insufficient_quota"}):
        quota = refusal(429, {"error": fields}, 7)
        assert isinstance(quota, ProviderQuota)
        assert (quota.status, quota.retry_after, quota.retryable) == (429, None, False)
        assert quota.said is not None
        assert "insufficient_quota" in quota.said


def test_a_server_that_says_when_it_is_back_is_believed() -> None:
    """A 503 with a time is a 503; without one it is a failure as any other."""
    back = refusal(503, b"", 9)
    assert isinstance(back, ProviderUnavailable)
    assert (back.status, back.retry_after, back.upstream_status) == (503, 9, 503)
    assert type(refusal(503, b"")) is ProviderError
    assert refusal(529, b"secret words").message == "The provider answered 529."


@pytest.mark.parametrize("status", [401, 403])
def test_bad_credentials_are_the_gateways(status: int) -> None:
    """The caller can do nothing about them, and hears nothing of them."""
    error = refusal(status, {"error": {"message": "bad key", "code": "invalid_api_key"}})
    assert (type(error), error.status, error.said) == (ProviderError, 502, None)


@pytest.mark.parametrize(
    ("said", "kind", "status"),
    [
        ({"code": 429}, ProviderBusy, 429),
        ({"code": "429"}, ProviderBusy, 429),
        ({"code": 429.0}, ProviderBusy, 429),
        ({"code": "14290"}, ProviderError, 502),
        ({"code": 0, "type": ""}, ProviderError, 502),
        ({"type": "rate_limit_error"}, ProviderBusy, 429),
        ({"code": "ThrottlingException"}, ProviderBusy, 429),
        ({"code": 8, "status": "RESOURCE_EXHAUSTED"}, ProviderBusy, 429),
        ({"code": "insufficient_quota"}, ProviderQuota, 429),
        ({"code": 402}, ProviderRefused, 402),
        ({"code": "context_length_exceeded"}, ProviderRefused, 400),
        ({"code": "model_not_found", "type": "invalid_request_error"}, ProviderRefused, 404),
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, ProviderError, 502),
        ({"code": 503}, ProviderError, 502),
        ("plain words", ProviderError, 502),
        (True, ProviderError, 502),
        (None, ProviderError, 502),
    ],
)
def test_an_error_within_a_200_is_that_of_its_status(said: Any, kind: type[ProviderError], status: int) -> None:
    """By a number or a word, whichever it has."""
    error = error_in_stream(said)
    assert (type(error), error.status, error.upstream_status) == (kind, status, None)


def test_what_only_the_provider_knows_is_scrubbed() -> None:
    """From its words, and from what programs look at."""
    error = refusal(400, {"error": {"message": "vllm-box says no", "code": "vllm-box", "type": "t"}})
    scrub(error, ["vllm-box"])
    assert (error.message, error.said) == ("… says no", (None, "t", None))
    scrub(plain := ProviderError("vllm-box broke"), ["vllm-box"])
    assert (plain.message, plain.said) == ("… broke", None)
