"""How much memory an embeddings request counts for before its reply is there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.providers.openai import MAX_EMBEDDING_BYTES
from gateway.web.models import _expected
from tests.support.http_client import call
from tests.support.servers import GatewayProcess


def expected(**fields: Any) -> int:
    return _expected({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()})


@pytest.mark.parametrize("one", ["text", '["text"]', [1, 2, 3], [], None, 5])
def test_one_input_counts_for_nothing(one: Any) -> None:
    """A text or its tokens; what is no input is for the provider to refuse."""
    assert expected(input=one) == 0


def test_many_inputs_count_for_what_they_may_bring() -> None:
    """By their number, packed for less, and no more than a reply may have; twice, as it comes and as it goes."""
    texts = expected(input=["a"] * 10)
    assert texts == expected(input=[[1, 2]] * 10) == 10 * expected(input=["a"]) > 0
    assert 0 < expected(input=["a"] * 10, encoding_format="base64") < texts / 4
    assert expected(input=["a"] * 2048) == expected(input=["a" * 1500] * 1500) == 2 * MAX_EMBEDDING_BYTES


def test_very_many_inputs(edge: GatewayProcess) -> None:
    """They are answered one request after another: nothing stays counted."""
    for _ in range(6):
        reply = call(edge, "POST", "/v1/embeddings", {"model": "echo", "input": ["a"] * 2048})
        assert (reply.status, len(reply.json["data"])) == (200, 2048)
