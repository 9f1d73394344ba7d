"""A configuration as text without its secrets, and a hash of it. For `gateway check`, and for each trace's metadata."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.config.schema import Config, Secret, Target


def config_hash(config: Config) -> str:
    """Return 12 hex digits that change when the configuration does; secrets are left out."""
    return hashlib.sha256(masked(config).encode()).hexdigest()[:12]


def masked(config: Config) -> str:
    """Return the configuration as TOML; of a secret only where it comes from (`env:NAME`), else `***`."""
    return "\n".join(_tables(config, "")).strip() + "\n"


def _tables(table: Any, name: str) -> Iterator[str]:
    items = table if isinstance(table, dict) else {f: getattr(table, f) for f in table.__struct_fields__}
    tables = {k: v for k, v in items.items() if isinstance(v, msgspec.Struct | dict)}
    plain = {k: v for k, v in items.items() if k not in tables and v is not None}
    if plain:
        yield f"\n[{name}]"
        yield from (f"{key} = {_toml(value)}" for key, value in plain.items())
    for key, value in tables.items():
        bare = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)
        yield from _tables(value, f"{name}.{bare}" if name else bare)


def _toml(value: Any) -> str:
    match value:
        case Secret():
            return _quoted(value.origin if value else "")
        case str():
            return _quoted(value)
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case Target():
            return f"{{ target = {_toml(value.target)}, weight = {value.weight} }}"
        case float() if value.is_integer():
            return str(int(value))
    return json.dumps(value)


def _quoted(text: str) -> str:
    """Return a basic string of TOML. What isn't printable is an escape: \\U and eight hexadecimal digits."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in quoted) + '"'
