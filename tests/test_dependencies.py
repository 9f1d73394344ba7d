"""The product imports only what it declares: the tests' tools are missing where it is installed."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAMES = {  # package → what is imported
    "google-re2": "re2",
    "opentelemetry-proto": "opentelemetry",
    "prometheus-client": "prometheus_client",
    "protobuf": "google",
    "pyjwt": "jwt",
    "sse-starlette": "sse_starlette",
}


def declared() -> set[str]:
    """The packages that the product asks for, also those of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {re.split(r"[<>=;\[ ]", line)[0] for line in lines}


def imported() -> set[str]:
    """The modules that its code imports, also inside functions."""
    found = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def test_every_import_is_a_dependency() -> None:
    """Nothing is imported that isn't declared."""
    known = {NAMES.get(package, package) for package in declared()} | set(sys.stdlib_module_names) | {"gateway"}
    assert imported() - known == set()


def test_every_dependency_is_imported() -> None:
    """Nothing is declared that isn't used."""
    found = imported()
    assert {package for package in declared() if NAMES.get(package, package) not in found} == set()
