"""The table of chaos models. It defines none: content.py, dialects.py, formats.py, http.py and wire.py do.

Read by answer.py, command.py, conformance.py and the tests.
"""

from __future__ import annotations

from gateway.chaos import content, dialects, formats, http, wire
from gateway.chaos.case import Case, Family

FAMILIES: tuple[Family, ...] = tuple(
    value
    for module in (content, dialects, formats, http, wire)
    for value in vars(module).values()
    if isinstance(value, Family)
)


def case_for(model: str) -> Case | None:
    """Return the case of a model's name, with any parameters, or None if there is none."""
    return next((case for family in FAMILIES if (case := family.case(model))), None)


def _table() -> dict[str, Case]:
    cases = [family.case(name) for family in FAMILIES for name in family.examples]
    return {case.name: case for case in cases if case is not None}


CASES: dict[str, Case] = _table()  # at least one example of every family, by the model's name


def expected_text(model: str, *, stream: bool = True) -> str | None:
    """Return the text of choice 0 that a good gateway receives, also of answers that fail. None: it isn't known."""
    case = case_for(model)
    if case is None:
        return None
    return (case.stream if stream else case.plain).expect.text


def rows() -> list[tuple[str, str, str, str]]:
    """Return the table for people. A row has a family's pattern, its description, and the result of either mode."""
    found = []
    for family in FAMILIES:
        cases = [CASES[name] for name in family.examples]
        stream = dict.fromkeys(str(case.stream.expect) for case in cases)
        plain = dict.fromkeys(str(case.plain.expect) for case in cases)
        found.append((family.pattern, family.description, "; ".join(stream), "; ".join(plain)))
    return found
