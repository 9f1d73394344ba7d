"""The arithmetic of limits, by a clock that the test moves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.access import limits as module
from gateway.access.limits import Buckets, Limits
from gateway.config.current import Current
from gateway.config.schema import Config, Server
from gateway.config.schema import Limits as Settings
from gateway.errors import InvalidValue, TooManyRequests, Unavailable


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(clock: Clock | None = None, proxies: tuple[str, ...] = (), **settings: Any) -> Limits:
    return Limits(Current(configured(proxies, **settings)), clock or Clock())


def reloadable(clock: Clock, **settings: Any) -> tuple[Limits, Current]:
    current = Current(configured(**settings))
    return Limits(current, clock), current


def configured(proxies: tuple[str, ...] = (), **settings: Any) -> Config:
    return Config(limits=Settings(**settings), server=Server(trusted_proxies=proxies))


def address(limits: Limits, peer: str | None, *forwarded: str) -> str:
    return limits.arrive([(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded], peer)


def taken(limits: Limits, tries: int, key_id: str | None = "key-1", caller: str = "") -> int:
    """How many of so many requests pass."""
    passed = 0
    for _ in range(tries):
        try:
            limits.request(key_id, caller)
        except TooManyRequests:
            continue
        passed += 1
    return passed


def test_a_bucket_gives_all_at_once_and_then_by_and_by() -> None:
    """N at first, then one for each Nth of the period, and never more than N."""
    clock = Clock()
    limits = made(clock, requests_per_minute=30)
    assert taken(limits, 100) == 30
    clock.now += 2
    assert taken(limits, 100) == 1
    clock.now += 5
    assert taken(limits, 100) == 2
    clock.now += 10_000
    assert taken(limits, 100) == 30


def test_the_wait_that_is_named_is_the_right_one() -> None:
    """After it the request passes, a moment before it doesn't."""
    clock = Clock()
    limits = made(clock, requests_per_minute=7)
    assert taken(limits, 7) == 7
    clock.now += 1
    with pytest.raises(TooManyRequests, match="at most 7 a minute") as caught:
        limits.request("key-1", "")
    assert caught.value.retry_after == pytest.approx(60 / 7 - 1)
    clock.now += (caught.value.retry_after or 0) - 0.01
    assert taken(limits, 1) == 0
    clock.now += 0.02
    assert taken(limits, 1) == 1


def test_what_is_refused_costs_nothing() -> None:
    """A caller that goes on asking isn't kept out for longer."""
    clock = Clock()
    limits = made(clock, requests_per_minute=60)
    assert taken(limits, 5_000) == 60
    clock.now += 1
    assert taken(limits, 10) == 1


def test_callers_have_buckets_of_their_own() -> None:
    """Each key one, and each address of keyless callers."""
    limits = made(requests_per_minute=2)
    assert [taken(limits, 3, key) for key in ("key-1", "key-2")] == [2, 2]
    assert [taken(limits, 3, None, caller) for caller in ("192.0.2.1", "192.0.2.2", "192.0.2.1")] == [2, 2, 0]


def test_no_limit_is_no_limit() -> None:
    """With zeros everything passes, and nothing is remembered."""
    limits = made(requests_per_minute=0, ratings_per_token=0, socket_messages_per_s=0, max_streams=0, max_messages=0)
    assert taken(limits, 1000) == 1000
    assert address(limits, "192.0.2.1") == ""
    frame_passes = limits.frames()
    for _ in range(1000):
        limits.rating("t")
        assert frame_passes()
        limits.stream("key-1", "")
    limits.messages(b"[" + b",".join([b'{"role":"user"}'] * 10_000) + b"]")
    assert limits.open == 1000


def test_a_reload_counts_on() -> None:
    """Another limit is in force at once, whether more or less; what was used stays used."""
    clock = Clock()
    limits, current = reloadable(clock, requests_per_minute=10)
    assert taken(limits, 20) == 10
    current.replace(configured(requests_per_minute=1000))
    assert taken(limits, 20) == 0  # all was used a moment ago
    clock.now += 6
    assert taken(limits, 1000) == 100
    current.replace(configured(requests_per_minute=1))
    clock.now += 60
    assert taken(limits, 20) == 1
    current.replace(configured())
    assert taken(limits, 20) == 20


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has very many addresses makes the gateway forget the oldest, and take no more memory."""
    monkeypatch.setattr(module, "MOST_BUCKETS", 100)
    buckets = Buckets(Clock())
    for number in range(1000):
        assert buckets.take(str(number), 1, 60) == 0
        assert buckets.take("busy", 10_000, 60) == 0  # in use, so it is kept
    assert len(buckets) == 100
    assert buckets.take("999", 1, 60) > 0
    assert buckets.take("0", 1, 60) == 0


# Addresses


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("198.51.100.7",), "192.0.2.1"),  # no proxy of ours: it may say what it likes
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("6.6.6.6, 198.51.100.7",), "198.51.100.7"),  # the left one was said by the client
        ("10.0.0.1", ("6.6.6.6", "198.51.100.7, 10.9.9.9"), "198.51.100.7"),  # a chain, in two headers
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),  # none but proxies: the farthest
        ("10.0.0.1", ("198.51.100.7, rubbish",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.7, 10.0.0.2, ",), "10.0.0.1"),
        ("10.0.0.1", ("198.51.100.7:4711",), "198.51.100.7"),
        ("10.0.0.1", ("[2001:db8:1:2:3::9]:4711",), "2001:db8:1:2::/64"),
        ("10.0.0.1", ("2001:db8:1:2:3::9",), "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", ("::ffff:198.51.100.7",), "198.51.100.7"),
        ("fd00::1", ("198.51.100.7",), "198.51.100.7"),
        ("fe80::1%eth0", (), "fe80::/64"),
        ("10.0.0.1", ("9" * 5000,), "10.0.0.1"),
        ("10.0.0.1", (", ".join(["198.51.100.7"] + ["10.0.0.2"] * 100),), "10.0.0.2"),  # looks only so far
        ("10.0.0.1", ("\xe9",), "10.0.0.1"),
        ("testclient", (), "unknown"),
        (None, (), "unknown"),
    ],
)
def test_the_callers_address(peer: str | None, forwarded: tuple[str, ...], expected: str) -> None:
    """The nearest one that is no trusted proxy's; IPv6 by its /64."""
    limits = made(proxies=("10.0.0.0/8", "fd00::1"), requests_per_minute=1)
    assert address(limits, peer, *forwarded) == expected


def test_an_address_has_a_limit_of_its_own() -> None:
    """Whatever keys it bears, and before anybody looks at them."""
    limits = made(requests_per_minute_per_address=2)
    assert [address(limits, "192.0.2.1") for _ in range(2)] == ["192.0.2.1"] * 2
    with pytest.raises(TooManyRequests, match="from this address"):
        address(limits, "192.0.2.1")
    assert address(limits, "192.0.2.2") == "192.0.2.2"
    assert taken(limits, 10) == 10


def test_neighbours_in_one_ipv6_network_share_a_bucket() -> None:
    """An address more costs nothing there."""
    limits = made(requests_per_minute_per_address=3)
    for number in range(3):
        address(limits, f"2001:db8::{number + 1:x}")
    with pytest.raises(TooManyRequests):
        address(limits, "2001:db8::ffff:1")
    assert address(limits, "2001:db8:0:1::1") == "2001:db8:0:1::/64"


# Streams


def test_streams_of_one_key() -> None:
    """So many at once, and one more as soon as one is over."""
    limits = made(streams_per_key=2)
    releases = [limits.stream("key-1", "192.0.2.1") for _ in range(2)]
    with pytest.raises(TooManyRequests) as caught:
        limits.stream("key-1", "192.0.2.2")
    assert (caught.value.code, caught.value.retry_after) == ("too_many_streams", 1)
    limits.stream("key-2", "192.0.2.1")
    limits.stream(None, "192.0.2.1")
    releases[0]()
    limits.stream("key-1", "192.0.2.1")


def test_streams_of_one_address() -> None:
    """So many at once, whatever keys it bears."""
    limits = made(streams_per_address=2)
    releases = [limits.stream(key, "192.0.2.1") for key in ("key-1", None)]
    with pytest.raises(TooManyRequests, match="this address"):
        limits.stream("key-2", "192.0.2.1")
    limits.stream("key-2", "192.0.2.2")
    releases[1]()
    limits.stream("key-2", "192.0.2.1")


def test_streams_of_all_together() -> None:
    """The ceiling is everybody's, and comes first."""
    limits = made(max_streams=3, streams_per_key=3)
    releases = [limits.stream(f"key-{number}", "") for number in range(3)]
    assert limits.full
    with pytest.raises(Unavailable) as caught:
        limits.stream("key-9", "")
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (503, "too_busy", 1)
    for release in releases:
        release()
    assert (limits.open, len(limits._streams), len(limits._streams_at)) == (0, 0, 0)


# Ratings, frames, messages


def test_ratings_of_one_token() -> None:
    """So many in a day, and the refusal says when the next is taken."""
    clock = Clock()
    limits = made(clock, ratings_per_token=4)
    for _ in range(4):
        limits.rating("t1")
    with pytest.raises(TooManyRequests, match="at most 4 a day") as caught:
        limits.rating("t1")
    assert (caught.value.code, caught.value.retry_after) == ("too_many_ratings", 21_600)
    limits.rating("t2")
    clock.now += 21_600
    limits.rating("t1")


def test_frames_of_one_socket() -> None:
    """Five seconds' worth at once, then so many a second."""
    clock = Clock()
    limits, current = reloadable(clock, socket_messages_per_s=10)
    passes, other = limits.frames(), limits.frames()
    assert [passes() for _ in range(60)].count(True) == 50
    assert other()
    clock.now += 1
    assert [passes() for _ in range(60)].count(True) == 10
    current.replace(configured(socket_messages_per_s=0))
    assert passes()


@pytest.mark.parametrize(("count", "good"), [(1, True), (20, True), (21, False), (5000, False)])
def test_messages_of_one_chat(count: int, good: bool) -> None:
    """The field is named, with how many there may be."""
    limits = made(max_messages=20)
    raw = msgspec.Raw(msgspec.json.encode([{"role": "user", "content": "x"}] * count))
    if good:
        limits.messages(raw)
        return
    with pytest.raises(InvalidValue, match="at most 20") as caught:
        limits.messages(raw)
    assert caught.value.details[0][0] == "messages"
