"""A misbehaving OpenAI-compatible upstream: the model's name says how it misbehaves.

It is a test bed for any gateway, and takes no part in serving. `gateway chaos` runs it, and `gateway conformance` tries
a gateway with it. Tests start it in their own process:

    server = await chaos.start()
    ... POST {server.url}/chat/completions with "model": "reset-after-3" ...
    assert server.stats.open == 0
    await server.close()

`server.refused_url` is a base URL on a port that nobody listens on. `CASES` has at least one example of every family of
models, with the result that a good gateway gives; `case_for(name)` resolves a name with other numbers.

case.py has the values and the building blocks of scripts. content.py, dialects.py, formats.py, http.py and wire.py
define the models, and cases.py lists them. answer.py and server.py serve them. client.py, probe.py, verdict.py and
conformance.py try a gateway.
"""

from gateway.chaos.case import TEXT, Case, Expect
from gateway.chaos.cases import CASES, FAMILIES, case_for, expected_text
from gateway.chaos.command import main
from gateway.chaos.server import ChaosServer, start
from gateway.chaos.stats import Stats

__all__ = [
    "CASES",
    "FAMILIES",
    "TEXT",
    "Case",
    "ChaosServer",
    "Expect",
    "Stats",
    "case_for",
    "expected_text",
    "main",
    "start",
]
