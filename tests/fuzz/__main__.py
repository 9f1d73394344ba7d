"""`python -m tests.fuzz upstream|frames --seconds N --corpus DIR`: libFuzzer, guided by the coverage of gateway/wire.

Made by atheris, which has wheels for Linux on x86-64 only. It starts from the recordings and golden streams; what it
finds lies as a file in DIR, to be kept under tests/wire/fuzz_findings once it is repaired.
The exit code is 0 where nothing was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped, unused-ignore]

with atheris.instrument_imports(include=["gateway.wire"]):
    from tests.fuzz import oracles

TESTS = Path(__file__).parents[1]
WORDS = (
    *("data: ", "data:", "[DONE]", "\\x0a\\x0a", "\\x0d\\x0a", "\\x0d", "\\xef\\xbb\\xbf", "event: error", ": c"),
    *('\\"choices\\":[', '\\"delta\\":{', '\\"message\\":{', '\\"content\\":\\"', '\\"refusal\\":', '\\"index\\":1'),
    *('\\"reasoning_content\\":', '\\"tool_calls\\":[{', '\\"arguments\\":\\"', '\\"finish_reason\\":\\"stop\\"'),
    *('\\"usage\\":{', '\\"error\\":{', '\\"function\\":{', "\\\\ud83d", "\\\\ude00", "1e999", "null", "-1", "NaN"),
    *('\\"type\\":\\"chat\\"', '\\"type\\":\\"resume\\"', '\\"type\\":\\"feedback\\"', '\\"trace_id\\":\\"tr-'),
    *('\\"is_correct\\":true', '\\"value\\":', '\\"name\\":', '\\"messages\\":[', '\\"role\\":\\"user\\"', '\\"id\\":'),
)
FRAMES = (
    '{"type":"chat","id":"c1","message":"hi","model":"m","session_id":"s","tags":{"a":"b"},"temperature":0.5}',
    '{"type":"chat","id":"c1","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"n":1}',
    '{"type":"stop","id":"c1"}',
    '{"type":"resume","trace_id":"tr-00000000000000000000000000000000","after":7}',
    '{"type":"feedback","id":"f","trace_id":"tr-00000000000000000000000000000000","is_correct":true,"comment":"x"}',
    '{"type":"feedback","id":"f","client_request_id":"r","name":"tone","value":["a",1],"metadata":{"k":"v"}}',
    '{"type":"feedback","client_request_id":"r","name":"n","value":0.5,"span_id":"0000000000000000"}',
    '{"type":"ping","id":"\\ud83d\\ude00"}',
)


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=["upstream", "frames"])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, required=True, help="where it keeps what reached new code")
    options = parser.parse_args()
    corpus: Path = options.corpus / options.target
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = [frame.encode() for frame in FRAMES]
    if options.target == "upstream":
        files = [*TESTS.glob("recordings/*"), *TESTS.glob("golden/*"), *TESTS.glob("wire/fuzz_findings/*")]
        # Short, and one for each reader: the fuzzer is quicker with little ones, and makes its own long ones.
        seeds = [bytes([kind]) + path.read_bytes()[:1000] for path in sorted(files) for kind in (3, 4, 5, 6, 7)]
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = options.corpus / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS))
    check = oracles.upstream if options.target == "upstream" else oracles.socket_frame
    limits = ("-max_len=2048", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1")
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-dict={words}", f"-max_total_time={options.seconds}", *limits,
         f"-artifact_prefix={options.corpus}/"],
        check,
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main()
