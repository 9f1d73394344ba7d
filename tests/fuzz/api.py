"""Random requests for every route of /openapi.json, made by schemathesis from the schema; half of them break it.

Called by tests/web/test_schema.py with a thousand, and by the soak with more. Each answer must be one that the
description names, of the form it names, within the time guard; of the 5xx only 503, where it is documented.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.servers import GatewayProcess

CHECKS: list[Any] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ENDLESS = "/events"
GUARD_S = 10
CONFIG = {"models": {"default": {"targets": ["demo/lorem-3-0ms"]}}, "streaming": {"resume_window_s": 1}}


class Found(AssertionError):
    """An answer that breaks a promise."""


def many(directory: Path, count: int) -> dict[str, float]:
    """About `count` requests, shared among the routes and the two kinds; the figures. Raises what broke a promise."""
    statuses: Counter[int] = Counter()
    began = time.monotonic()
    with GatewayProcess(directory, CONFIG) as gateway, requests.Session() as session:
        schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
        operations: list[Any] = [cast(Any, result).ok() for result in schema.get_all_operations()]
        modes = list(schemathesis.GenerationMode)
        share = max(1, count // (len(operations) * len(modes)))
        known = _known(session, gateway.url)
        while sum(statuses.values()) < count:
            before = sum(statuses.values())
            for operation in operations:
                few = operation.path == ENDLESS or not (operation.query or operation.body or operation.path_parameters)
                for mode in modes:
                    _fuzz(operation, mode, 5 if few else share, before, known, session, gateway.url, statuses)
            assert sum(statuses.values()) > before, "nothing could be made from the schema"
        assert requests.get(f"{gateway.url}/readyz", timeout=GUARD_S).status_code == 200
    figures = {f"answers {status}": float(number) for status, number in sorted(statuses.items())}
    return {"requests": float(sum(statuses.values())), **figures, "seconds": time.monotonic() - began}


def _known(session: requests.Session, url: str) -> dict[str, str]:
    """A trace and a session that exist, so that some requests get beyond the 404."""
    reply = session.post(f"{url}/chat", json={"message": "hi"}, timeout=GUARD_S).json()
    return {"trace_id": reply["trace_id"], "session_id": reply["session_id"]}


def _fuzz(
    operation: Any,
    mode: Any,
    examples: int,
    number: int,
    known: dict[str, str],
    session: requests.Session,
    url: str,
    statuses: Counter[int],
) -> None:
    turn = 0

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        nonlocal turn
        turn += 1
        if turn % 2:
            for place in (case.path_parameters, case.query):
                for name in set(place or ()) & set(known):
                    place[name] = known[name]
        _ask(case, session, url, statuses)

    with contextlib.suppress(
        schemathesis.errors.SchemathesisError, Unsatisfiable
    ):  # a route without input has none that breaks it
        one()


def _ask(case: Any, session: requests.Session, url: str, statuses: Counter[int]) -> None:
    options = {"timeout": GUARD_S, "headers": {"Connection": "keep-alive"}}
    if case.operation.path == ENDLESS:
        with requests.get(f"{url}{ENDLESS}", stream=True, timeout=GUARD_S) as response:
            statuses[response.status_code] += 1
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
        return
    response = case.call(base_url=url, session=session, **options)
    statuses[response.status_code] += 1
    if response.status_code >= 500 and not (
        response.status_code == 503 and "503" in case.operation.definition.raw["responses"]
    ):
        raise Found(f"{case.method} {case.formatted_path}: {response.status_code} {response.text[:300]}")
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as problems:
        shown = "\n".join(str(problem) for problem in problems.exceptions)
        raise Found(f"{case.as_curl_command()}\n{response.status_code} {response.text[:500]}\n{shown}") from None
