"""Bodies that are packed: they come out whole, in pieces of a bounded size, or not at all."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest, UnsupportedMediaType
from gateway.wire.content_coding import Unpacker
from tests.support.provider_streams import PLACES, cuts, few

PACKS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}


def unpacked(encoding: str, pieces: list[bytes]) -> list[bytes]:
    unpacker = Unpacker(encoding)
    found = [piece for data in pieces for piece in unpacker.pieces(data)]
    unpacker.end()
    return found


@few
@given(st.binary(max_size=2_000), st.sampled_from(sorted(PACKS)), PLACES)
def test_a_body_comes_out_whole_however_it_is_cut(body: bytes, encoding: str, places: list[int]) -> None:
    """By each of the names, whose case doesn't count."""
    packed = PACKS[encoding](body)
    assert b"".join(unpacked(encoding.upper(), list(cuts(packed, places)))) == body


@pytest.mark.parametrize("size", [262_144, 262_145, 3_000_000])
def test_what_comes_out_comes_in_pieces(size: int) -> None:
    """A few bytes may be a thousand times as many: whoever takes them can stop at any piece."""
    pieces = unpacked("gzip", [gzip.compress(b"0" * size)])
    assert max(map(len, pieces)) == 262_144
    assert sum(map(len, pieces)) == size


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no gzip", "is not gzip"),
        (gzip.compress(b"hello", mtime=0)[:-4], "ends too soon"),
        (b"", "ends too soon"),
        (gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0), "goes on after the end"),
    ],
)
def test_a_body_that_is_not_packed_so_is_refused(data: bytes, words: str) -> None:
    """It says what is wrong."""
    with pytest.raises(BadRequest, match=words):
        unpacked("gzip", [data])


@pytest.mark.parametrize(("encoding", "named"), [("br", "br"), ("gzip, gzip", "gzip, gzip"), ("\x80\x07", "that")])
def test_another_encoding_is_refused_by_its_name(encoding: str, named: str) -> None:
    """As far as it can be shown."""
    with pytest.raises(UnsupportedMediaType, match=f"gzip or deflate, not {named}"):
        Unpacker(encoding)
