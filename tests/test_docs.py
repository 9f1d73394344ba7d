"""What the shipped files promise about the configuration."""

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

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "config.toml"


def keys_of(kind: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """(table, key) of every key; a name that users choose is `*`."""
    for name, member in typing.get_type_hints(kind, include_extras=True).items():
        if typing.get_origin(member) is dict:
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
