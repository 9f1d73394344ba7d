"""A misbehaving OpenAI-compatible upstream: the model's name says how it misbehaves.

It is a test bed for gateways, this one among them, and no part of serving. `gateway chaos` runs it; tests start it in
process:

    server = await chaos.start()
    ... POST {server.url}/chat/completions with "model": "reset-after-3" ...
    assert server.stats.open == 0
    await server.close()

`server.refused_url` is a base URL on a port nobody listens on. `CASES` has an example or more of every model, with
what a good gateway makes of it; `case_for(name)` resolves a name with other numbers.
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
