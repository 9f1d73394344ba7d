"""What the shipped files promise about the configuration, and what the pages name."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config.load import load
from gateway.config.schema import Config
from gateway.domain.events import ReasoningDelta, Started, TextDelta

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "config.toml"


def keys_of(kind: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """(table, key) of every key; a name that users choose is `*`."""
    for name, member in typing.get_type_hints(kind, include_extras=True).items():
        if typing.get_origin(member) is dict and isinstance(typing.get_args(member)[1], type):
            yield from keys_of(typing.get_args(member)[1], f"{at}{name}.*.")
        elif isinstance(member, type) and issubclass(member, msgspec.Struct):
            yield from keys_of(member, f"{at}{name}.")
        else:
            yield at[:-1], name


@pytest.mark.parametrize(("table", "key"), [*keys_of(Config)], ids=".".join)
def test_every_key_is_in_the_shipped_config(table: str, key: str) -> None:
    """Live or commented out, in its own table."""
    head = re.escape(table).replace(r"\*", r"\S+")
    blocks = re.findall(rf"^(?:# )?\[{head}\](.*?)(?=^(?:# )?\[[a-z]|\Z)", SHIPPED.read_text(), re.S | re.M)
    assert any(re.search(rf"^(?:# )?{key} = ", block, re.M) for block in blocks), f"[{table}] {key}"


@pytest.mark.parametrize("env", [{}, {"OPENAI_API_KEY": "sk-1"}])
def test_the_shipped_config_changes_nothing(env: dict[str, str]) -> None:
    """A newcomer's checkout starts as it would without any file."""
    assert load(SHIPPED, env) == load(None, env)


def test_what_is_commented_out_is_valid(tmp_path: Path) -> None:
    """Take the comments off, and it loads."""
    path = tmp_path / "config.toml"
    path.write_text(re.sub(r"^# ?(?=\[|[a-z_]+ = )", "", SHIPPED.read_text(), flags=re.M))
    config = load(path, {"OPENAI_API_KEY": "sk-1"})
    assert config.providers["openai"].api_key == "sk-1"
    assert "tone" in config.feedback.dimensions
    assert config.models["default"] == load(None, {"OPENAI_API_KEY": "sk-1"}).models["default"]


PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "frontend/README.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
FOLDERS = ("gateway", "tests", "docs", "scripts", "frontend/src", "frontend/app", "frontend/tests", "frontend/scripts")
FILES = [
    str(path.relative_to(ROOT))
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.*")
    if "node_modules" not in path.parts
]
FILES += [path.name for path in ROOT.glob("*.*")] + [
    f"frontend/{path.name}" for path in (ROOT / "frontend").glob("*.*")
]


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A file, and where it names one, a heading in it."""
    for link in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def anchors_of(page: Path) -> set[str]:
    """Return the names that GitHub gives to a page's headings."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    """Named by its path, or by the end of it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    names = set(re.findall(r"`([\w./-]+\.(?:py|ts|tsx|sql|css|json|toml|sh))`", text)) - ELSEWHERE
    routes = {name for name in names if name.startswith("/")}
    assert [name for name in names - routes if not any(f"/{file}".endswith(f"/{name}") for file in FILES)] == []


# Files that readers have or would make, and those of MLflow's own tests.
ELSEWHERE = {
    "src/App.tsx",
    "traces.json",
    "tests/tracking/test_rest_tracking.py",
    "tests/tracing/test_assessment.py",
    "tests/tracing/test_otel_logging.py",
    "test_otel_loading.py",
    "tests/genai/datasets/test_fluent.py",
}


def test_the_wire_of_the_recipes_works() -> None:
    """As it is printed: it streams the text of an answer, pushed or not."""
    [code] = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/recipes.md").read_text(), re.M | re.S)
    module: dict[str, Any] = {}
    exec(code, module)  # noqa: S102 - our own page
    wire = module["PlainText"]()
    events = [(1, Started("tr-1", "s", "m")), (2, TextDelta(rb"a\"b\u20ac", 4)), (3, ReasoningDelta(b"hm", 2))]
    assert wire.encode(events) == ['a"b€'.encode()]
    assert wire.text(b"c", 3) == b"c"
