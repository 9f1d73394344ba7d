"""How a configuration comes about: the file, then the environment, then the command line's overrides, then defaults.

It is not the shape of the configuration (schema.py), nor what types can't say of it (check.py), nor the watcher
(watch.py). The command line calls `load` once at the start, the watcher again at each change.
"""

from __future__ import annotations

import codecs
import difflib
import re
import tomllib
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.config.check import check
from gateway.config.schema import Config, ConfigError, Dimension, Model, Provider, Secret

Look = Callable[[str], str | None]  # a variable's value, for secrets
PREFIX = "GATEWAY_"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
DEFAULT_DIMENSIONS = {name: Dimension(min=1, max=5) for name in ("accuracy", "helpfulness", "relevance")}


def find_config(given: str | None) -> Path | None:
    """Return the file to read: the one named, else config.toml of the working directory if there is one."""
    if given is not None:
        return Path(given)
    here = Path("config.toml")
    return here if here.exists() else None


def load(
    path: Path | None, env: Mapping[str, str], overrides: Mapping[str, Any] | None = None, *, secrets: bool = True
) -> Config:
    """Return the whole configuration, checked, its secrets resolved and its defaults filled in. Raise ConfigError.

    `env` beats the file at `path`, and `overrides` beats both: values by their keys' paths, such as `$.server.port`.
    Without `secrets`, for commands that use none, one whose variable isn't set stays `env:NAME`.
    """
    look: Look = env.get if secrets else lambda name: env.get(name, f"env:{name}")
    overrides = overrides or {}
    data = _read(path) if path else {}
    _override(data, env)
    for key, value in overrides.items():
        _, section, name = key.split(".")
        if isinstance(table := data.setdefault(section, {}), dict):  # else `_build` says that it is none
            table[name] = value
    try:
        config = _fill(_build(Config, data, "$", look), look)
        check(config, files=secrets)
    except ConfigError as error:
        variable = next((name for name in env if _dotted(name) == error.path), None)
        source = "command line" if error.path in overrides else variable or str(path or "environment")
        raise ConfigError(error.path, error.problem, source) from None
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))  # Windows' editors put a byte order mark first
    except OSError as error:
        raise ConfigError("$", f"cannot be read: {error.strerror}", str(path)) from None
    except UnicodeDecodeError as error:
        found = "is UTF-16: save it as UTF-8" if error.object[:2] in _UTF_16 else "is not UTF-8"
        raise ConfigError("$", found, str(path)) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError("$", f"is not TOML: {error}", str(path)) from None


# --- environment -----------------------------------------------------------------------------------------------------


def _steps(name: str) -> list[str]:
    """Return server, port of GATEWAY_SERVER__PORT; nothing of names without `__`, such as GATEWAY_KEY."""
    if not name.startswith(PREFIX) or "__" not in name:
        return []
    return name.removeprefix(PREFIX).lower().split("__")


def _dotted(name: str) -> str:
    return ".".join(["$", *_steps(name)])


def _override(data: dict[str, Any], env: Mapping[str, str]) -> None:
    for name in sorted(env):
        table, kind, path = data, Config, "$"
        for step in _steps(name):
            if not isinstance(table, dict):
                raise ConfigError(path, "is a value, not a table", name)
            # A name in the file keeps its spelling; a variable can't say "my-model" in any other way than MY_MODEL.
            key = next((k for k in table if k.lower().replace("-", "_") == step), step)
            path = f"{path}.{key}"
            kind = _member(kind, key)
            if kind is None:
                raise ConfigError(path, "unknown key", name)
            parent, table = table, table.get(key, {})
            if _is_table(kind):
                parent[key] = table
        if path != "$":
            if _is_table(kind):
                raise ConfigError(path, "is a table: name one of its keys", name)
            parent[key] = _from_text(env[name], kind, path, name)


def _member(kind: Any, key: str) -> Any:
    """Return the type of `key` in a table of type `kind`, or None if it has no such key."""
    if typing.get_origin(kind) is dict:
        return typing.get_args(kind)[1]
    return typing.get_type_hints(kind, include_extras=True).get(key) if _is_table(kind) else None


def _is_table(kind: Any) -> bool:
    return typing.get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, msgspec.Struct))


def _from_text(text: str, kind: Any, path: str, name: str) -> Any:
    """Return a variable's text as the struct's type has it; lists as TOML (`["a", "b"]`) or with commas (`a, b`)."""
    try:
        if "tuple[" not in str(kind):
            return msgspec.convert(text, kind, strict=False)
        if text.lstrip().startswith("["):
            return tomllib.loads(f"value = {text}")["value"]
        return [item.strip() for item in text.split(",") if item.strip()]
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(path, str(error), name) from None


# --- types -----------------------------------------------------------------------------------------------------------


def _build(kind: Any, value: Any, path: str, look: Look) -> Any:
    """Convert as msgspec does, but name the keys of dicts in an error's path too, and resolve secrets."""
    if not _is_table(kind):
        return _leaf(kind, value, path, look)
    if not isinstance(value, dict):
        raise ConfigError(path, "a table is expected")
    built = {}
    for key, item in value.items():
        member = _member(kind, key)
        if member is None:
            near = difflib.get_close_matches(key, typing.get_type_hints(kind), 1)
            raise ConfigError(f"{path}.{key}", f"unknown key; did you mean {near[0]}?" if near else "unknown key")
        built[key] = _build(member, item, f"{path}.{key}", look)
    if typing.get_origin(kind) is dict:
        return built
    for field in msgspec.structs.fields(kind):
        if field.required and field.name not in built:
            raise ConfigError(f"{path}.{field.name}", "is required")
    return kind(**built)


def _leaf(kind: Any, value: Any, path: str, look: Look) -> Any:
    try:
        leaf = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem, _, at = str(error).partition(" - at `$")
        path += at.rstrip("`")
        if typing.get_origin(kind) is typing.Literal:
            problem = f"{value!r} is none of: {', '.join(typing.get_args(kind))}"
        if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", problem):
            raise ConfigError(f"{path}.{unknown[1]}", "unknown key") from None
        raise ConfigError(path, problem[:1].lower() + problem[1:].replace("object", "table")) from None
    if "'secret': True" not in str(kind):
        return leaf
    if isinstance(leaf, str):
        return _secret(leaf, path, look)
    return tuple(_secret(item, f"{path}[{at}]", look) for at, item in enumerate(leaf))


def _secret(value: str, path: str, look: Look) -> Secret:
    if not value.startswith("env:"):
        return Secret(value)
    found = look(value.removeprefix("env:"))
    if not found:
        raise ConfigError(path, f"the environment has no {value.removeprefix('env:')}")
    return Secret(found, value)


# --- defaults --------------------------------------------------------------------------------------------------------


def _fill(config: Config, look: Look) -> Config:
    providers = {name: _with_query(provider, f"$.providers.{name}") for name, provider in config.providers.items()}
    providers.setdefault("demo", Provider(kind="demo", base_url=""))
    if key := look("OPENAI_API_KEY"):
        providers.setdefault("openai", Provider(api_key=Secret(key, "env:OPENAI_API_KEY")))
    target = "openai/gpt-4o-mini" if "openai" in providers else "demo/echo"
    return msgspec.structs.replace(
        config,
        providers=providers,
        models=config.models or {"default": Model(targets=(target,))},
        feedback=msgspec.structs.replace(
            config.feedback, dimensions=config.feedback.dimensions or dict(DEFAULT_DIMENSIONS)
        ),
    )


def _with_query(provider: Provider, path: str) -> Provider:
    """Return the provider with the query of its address in `query`, where it is kept as the secret that it may be."""
    address, _, text = provider.base_url.partition("?")
    given = parse_qsl(text, keep_blank_values=True)
    query = {name: Secret(value) for name, value in given}
    if "#" in provider.base_url or len(query) < len(given) or not query:
        return provider  # check.py says what is wrong with it
    if twice := next((name for name in provider.query if name in query), None):
        raise ConfigError(f"{path}.query.{twice}", "is in base_url too: leave one of them out")
    return msgspec.structs.replace(provider, base_url=address, query={**query, **provider.query})
