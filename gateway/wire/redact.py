"""Takes out of a provider's error text what a client must not see: keys, addresses, control characters."""

from __future__ import annotations

import re
from collections.abc import Iterable

# What begins with an open-ended run of characters begins only where such a run does: else long text costs its square.
_SECRETS = re.compile(
    r"(?i)\b(?:sk|pk|rk|key|api|gsk|xai|gw)-[\w*.-]{6,}"  # keys by their usual prefixes, masked ones too
    r"|\bbearer\s+\S+"
    r"|(?<![a-z0-9+.-])[a-z0-9+.-]*://\S+"
    r"|\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?"
    r"|(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])"  # IPv6
    r"|(?<![\w.-])(?=[\w.-]*[a-z])[\w.-]+:\d{2,5}\b"  # host:port
    r"|\blocalhost(?::\d+)?"
    r"|\[[0-9a-f:]{2,}\](?::\d+)?"
    r"|(?<![\w.-])[\w.-]*\.(?:com|net|org|io|ai|dev|local|internal|cloud)\b(?::\d+)?(?:/\S*)?"
)


def redact(text: str, secrets: Iterable[str] = (), limit: int = 500) -> str:
    """Return `text` on one line, at most `limit` characters, with `secrets` and everything like them as `…`."""
    for secret in secrets:
        text = re.sub(re.escape(secret), "…", text, flags=re.IGNORECASE)
    text = _SECRETS.sub("…", text[: limit * 8])
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:limit]
