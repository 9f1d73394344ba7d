"""The house rules that a machine can check: imports go down only, and files stay small."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "gateway").rglob("*.py"))
LAYERS = {
    "gateway": 0,  # its version
    "gateway.errors": 0,
    "gateway.domain": 0,
    "gateway.config": 1,
    "gateway.wire": 1,
    "gateway.storage": 1,
    "gateway.providers": 2,
    "gateway.access": 2,
    "gateway.observability": 2,
    "gateway.streaming": 3,
    "gateway.chat": 4,
    "gateway.feedback": 5,
    "gateway.erasure": 5,
    "gateway.mlflow": 6,
    "gateway.web": 6,
    "gateway.chaos": 6,
    "gateway.app": 7,
    "gateway.cli": 8,
    "gateway.__main__": 9,
}


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def home_of(module: str) -> str:
    """The longest name in LAYERS that the module is or lies in."""
    names = [name for name in LAYERS if module == name or (module.startswith(f"{name}.") and name != "gateway")]
    assert names, f"{module} has no layer"
    return max(names, key=len)


def package_of(module: str) -> str:
    """gateway.X."""
    return ".".join(module.split(".")[:2])


def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    modules = {module_of(each) for each in FILES}
    ours = {name for name in found if name.split(".")[0] == "gateway"}
    # `from gateway.errors import NotFound` names a thing in a module
    return {name if name in modules else name.rpartition(".")[0] for name in ours}


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_imports_go_down(file: Path) -> None:
    """A file imports from lower layers, or from its own package."""
    module = module_of(file)
    home = home_of(module)
    for imported in imports_of(file):
        there = home_of(imported)
        assert package_of(imported) == package_of(module) or LAYERS[there] < LAYERS[home], (
            f"{module} imports {imported}"
        )


def test_no_two_files_need_each_other() -> None:
    """There is an order of all files, by their imports at run time and for types."""
    list(TopologicalSorter({module_of(file): imports_of(file) - {module_of(file)} for file in FILES}).static_order())


# Within a package: what is on the left never imports what is on the right.
INSIDE = (
    ("gateway.storage.engine", "gateway.storage.scripts"),
    ("gateway.storage.scripts", "gateway.storage.sqlite"),
    ("gateway.mlflow.values", "gateway.mlflow.wire"),
    ("gateway.mlflow.wire", "gateway.mlflow.scripts"),
    ("gateway.mlflow.wire", "gateway.mlflow.handlers"),
    ("gateway.mlflow.scripts", "gateway.mlflow.handlers"),
    ("gateway.providers.base", "gateway.providers.http"),
    ("gateway.providers.http", "gateway.providers.openai"),
    ("gateway.web.request", "gateway.web.route"),
    ("gateway.web.route", "gateway.web.routes"),
)


@pytest.mark.parametrize(("lower", "upper"), INSIDE)
def test_packages_have_an_order_inside(lower: str, upper: str) -> None:
    """Engines are above scripts, handlers above codecs, the table of routes above its handlers."""
    for file in FILES:
        if f"{module_of(file)}.".startswith(f"{lower}."):
            assert not [name for name in imports_of(file) if f"{name}.".startswith(f"{upper}.")], module_of(file)


def test_the_map_shows_every_package() -> None:
    """docs/architecture.md has LAYERS as a table, and a line for each folder within a package."""
    page = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| *(\d*) *\| `([\w/.]+)` \|", page, re.M)
    named = {"gateway." + path.removesuffix("/").removesuffix(".py").replace("/", "."): layer for layer, path in rows}
    named["gateway"] = named.pop("gateway.__init__")
    folders = {module_of(file) for file in FILES if file.name == "__init__.py"}
    assert {name: int(layer) for name, layer in named.items() if layer} == LAYERS
    assert set(named) == set(LAYERS) | folders
    for folder in re.findall(r"^\| `((?:src|app)/[\w/]*)` \|", page, re.M):
        assert (ROOT / "frontend" / folder).is_dir(), folder


SCRIPTS = ("gateway.storage.", "gateway.mlflow.scripts.")
WIRES = ("gateway.wire", "gateway.mlflow.wire")


@pytest.mark.parametrize("file", [file for file in FILES if module_of(file).startswith(SCRIPTS)], ids=module_of)
def test_the_store_knows_no_wire(file: Path) -> None:
    """Transaction scripts and engines take and return values; what goes over a wire is made of them above."""
    assert not {name for name in imports_of(file) if name.startswith(WIRES)}


@pytest.mark.parametrize(
    "file", [file for file in FILES if module_of(file).startswith("gateway.mlflow.wire.")], ids=module_of
)
def test_mlflows_wire_knows_no_store(file: Path) -> None:
    """It makes values of what clients send, and the other way; handlers run the scripts."""
    assert not {name for name in imports_of(file) if name.startswith(("gateway.storage", "gateway.mlflow.scripts"))}


# Which modules beside gateway/mlflow name MLflow, and for what.
NAME_MLFLOW = {
    "gateway.app": "puts the parts together",
    "gateway.domain.names": "keys of stored rows",
    "gateway.storage.scripts.traces": "keys of stored rows",
    "gateway.wire.filter": "the grammar of filters",
    "gateway.wire.trace_filter": "the grammar of filters",
    "gateway.web.chat": "a request header",
    "gateway.web.completions": "a request header",
    "gateway.web.cors": "a request header",
    "gateway.web.operations": "a request header",
    "gateway.web.routes": "a path",
    "gateway.wire.errors": "a path",
    "gateway.web.trace_operations": "the grammar of filters",
}


def test_nothing_else_knows_mlflow() -> None:
    """What is MLflow's lies in gateway/mlflow."""
    found = {module_of(file) for file in FILES if "mlflow" in file.read_text().lower()}
    assert {name for name in found if not name.startswith("gateway.mlflow")} == set(NAME_MLFLOW)


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_a_file_is_short_and_says_what_it_is(file: Path) -> None:
    """At most 300 lines, with a docstring."""
    text = file.read_text()
    assert text.count("\n") <= 300
    assert ast.get_docstring(ast.parse(text))
