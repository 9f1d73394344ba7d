"""The table of chaos models. Read by the server, the CLI, the tests and whoever checks a gateway with them."""

from __future__ import annotations

from gateway.chaos import content, formats, http, wire
from gateway.chaos.case import Case, Family

FAMILIES: tuple[Family, ...] = tuple(
    value for module in (content, formats, http, wire) for value in vars(module).values() if isinstance(value, Family)
)


def case_for(model: str) -> Case | None:
    """The case of a model's name, with whatever numbers are in it."""
    return next((case for family in FAMILIES if (case := family.case(model))), None)


def _table() -> dict[str, Case]:
    cases = [family.case(name) for family in FAMILIES for name in family.examples]
    return {case.name: case for case in cases if case is not None}


CASES: dict[str, Case] = _table()  # an example or more of every family, by the model's name


def expected_text(model: str, *, stream: bool = True) -> str | None:
    """What a good gateway received of choice 0, whether the answer then failed or not. None: can't be foretold."""
    case = case_for(model)
    if case is None:
        return None
    return (case.stream if stream else case.plain).expect.text


def rows() -> list[tuple[str, str, str, str]]:
    """The table for people, a row a family: pattern, what it does, and what a good gateway makes of either form."""
    found = []
    for family in FAMILIES:
        cases = [CASES[name] for name in family.examples]
        stream = dict.fromkeys(str(case.stream.expect) for case in cases)
        plain = dict.fromkeys(str(case.plain.expect) for case in cases)
        found.append((family.pattern, family.what, "; ".join(stream), "; ".join(plain)))
    return found
