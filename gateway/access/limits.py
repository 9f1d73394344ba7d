"""How much one caller, and all of them together, may ask for: requests a minute, open streams, frames, ratings.

It is not who the caller is (auth.py), nor the bounds of one connection (web/pace.py). Requests, WebSockets
and the spine ask it; what it remembers of callers is bounded, since addresses are the attacker's to choose.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm). So a limit of N in a
period allows N at once, and then one more each time that a share of the period has passed.
"""

from __future__ import annotations

import functools
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.errors import InvalidValue, TooManyRequests, Unavailable

Clock = Callable[[], float]
Release = Callable[[], None]
MOST_BUCKETS = 50_000  # of a kind: about 200 bytes each
MOST_HOPS = 32  # of an X-Forwarded-For that are looked at
_BURST_S = 5  # a socket's frames may come in bursts of so many seconds' worth
_DAY_S = 86_400.0
_ROUNDING_S = 1e-6


class Buckets:
    """Token buckets by name. The one that wasn't used for the longest time is forgotten beyond MOST_BUCKETS."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, name: str, count: int, period_s: float) -> float:
        """Take one of `count` in `period_s`: 0, or the seconds until there is one."""
        now, each = self._clock(), period_s / count
        # A bucket that was filled under a slower rate is no emptier than empty under this one.
        full_at = min(max(self._full_at.get(name, now), now), now + period_s) + each
        if (wait := full_at - now - period_s) > _ROUNDING_S:
            return wait
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > MOST_BUCKETS:
            self._full_at.popitem(last=False)
        return 0.0


class Limits:
    """Made by app.py. Without limits a request costs it two comparisons."""

    def __init__(self, current: Current, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._by_key, self._by_caller = Buckets(clock), Buckets(clock)
        self._by_address, self._by_token = Buckets(clock), Buckets(clock)
        self._streams: dict[str, int] = {}  # open ones, by key or caller's address
        self._streams_at: dict[str, int] = {}  # by address
        self.open = 0
        self.bodies = 0  # bytes of bodies that are still coming
        self.resident_mb = 0.0  # of this process, as the server last saw it
        current.subscribe(self._configure)

    def _configure(self, config: Config) -> None:
        """Take another configuration. What was used so far counts on, but for streams that began without a limit."""
        self.config, self.server = config.limits, config.server
        self._trusted = tuple(ipaddress.ip_network(proxy, strict=False) for proxy in config.server.trusted_proxies)
        each = config.limits
        self._addressed = bool(
            each.requests_per_minute
            or each.requests_per_minute_per_address
            or each.streams_per_key
            or each.streams_per_address
        )

    def arrive(self, headers: Iterable[tuple[bytes, bytes]], client_host: str | None) -> str:
        """The caller's address, as far as a limit wants it; before it is known who calls. Raises TooManyRequests."""
        if not self._addressed:
            return ""
        address = self._address(headers, client_host)
        if most := self.config.requests_per_minute_per_address:
            _spend(self._by_address, address, most, 60, "requests from this address")
        return address

    def request(self, key_id: str | None, address: str, own: int = 0) -> None:
        """One request of a key's, or of a keyless caller's at this address; `own` is the key's own limit.

        Raises TooManyRequests.
        """
        if most := own or self.config.requests_per_minute:
            if key_id is None:
                _spend(self._by_caller, address, most, 60, "requests")
            else:
                _spend(self._by_key, key_id, most, 60, "requests with this key")

    def stream(self, key_id: str | None, address: str) -> Release:
        """One more open stream; call what this returns, once, when it is over.

        Raises Unavailable where all together have max_streams or max_memory_mb, TooManyRequests where the caller has
        its share.
        """
        if self.full:
            raise Unavailable("The server is busy. Please try again.", code="too_busy", retry_after=1)
        if not self._addressed:
            self.open += 1
            return self._over
        limits, caller = self.config, key_id or address
        of_caller, of_address = self._streams.get(caller, 0), self._streams_at.get(address, 0)
        if 0 < limits.streams_per_key <= of_caller:
            raise _too_many(f"At most {limits.streams_per_key} streams at once with one key.")
        if 0 < limits.streams_per_address <= of_address:
            raise _too_many(f"At most {limits.streams_per_address} streams at once from one address.")
        self.open += 1
        self._streams[caller], self._streams_at[address] = of_caller + 1, of_address + 1
        return functools.partial(self._release, caller, address)

    @property
    def full(self) -> bool:
        """Whether no more streams are taken, from whomever."""
        limits = self.config
        return 0 < limits.max_streams <= self.open or 0 < limits.max_memory_mb <= self.resident_mb

    def _over(self) -> None:
        self.open -= 1

    def _release(self, caller: str, address: str) -> None:
        self._over()
        for counter, name in ((self._streams, caller), (self._streams_at, address)):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]

    def rating(self, token_id: str) -> None:
        """One rating with this feedback token: ratings_per_token in a day. Raises TooManyRequests."""
        if most := self.config.ratings_per_token:
            _spend(self._by_token, token_id, most, _DAY_S, "ratings of this answer", code="too_many_ratings")

    def frames(self) -> Callable[[], bool]:
        """For one WebSocket: a function that says of each frame whether it still is within the limit."""
        bucket = Buckets(self._clock)

        def allowed() -> bool:
            rate = self.config.socket_messages_per_s
            return not rate or bucket.take("", rate * _BURST_S, _BURST_S) == 0

        return allowed

    def messages(self, raw: bytes | msgspec.Raw) -> None:
        """Bound a chat's messages, given as a JSON list. Raises InvalidValue."""
        most = self.config.max_messages
        text = memoryview(raw)
        if not most or len(text) < 16 * most:  # shorter than so many {"role":"user"}
            return
        if (count := len(msgspec.json.decode(text, type=list[msgspec.Raw]))) > most:
            problem = f"{count} of them; at most {most} are taken"
            raise InvalidValue(f"messages: {problem}", details=[("messages", problem)])

    def _address(self, headers: Iterable[tuple[bytes, bytes]], client_host: str | None) -> str:
        """The nearest address that is no trusted proxy's: read from the right, as each proxy adds to the end."""
        address = _parsed(client_host or "")
        if self._trusted and self._is_trusted(address):
            hops = b",".join(value for name, value in headers if name == b"x-forwarded-for")
            for hop in reversed(hops.rsplit(b",", MOST_HOPS)[-MOST_HOPS:]):
                if (found := _parsed(_without_port(hop.strip().decode("latin-1")))) is None:
                    break  # what stands left of it was said by whoever wrote this
                address = found
                if not self._is_trusted(address):
                    break
        return _bucket_name(address)

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _spend(buckets: Buckets, name: str, most: int, period_s: float, what: str, code: str | None = None) -> None:
    if wait := buckets.take(name, most, period_s):
        per = "minute" if period_s == 60 else "day"
        raise TooManyRequests(f"Too many {what}: at most {most} a {per}.", code=code, retry_after=wait)


def _too_many(message: str) -> TooManyRequests:
    return TooManyRequests(message, code="too_many_streams", retry_after=1)


def _parsed(host: str) -> Address | None:
    return _parse(host) if len(host) <= 64 else None  # longer ones are no addresses, and not worth keeping


@functools.lru_cache(maxsize=4096)
def _parse(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _without_port(hop: str) -> str:
    """As some proxies write it: 192.0.2.1:4711, [2001:db8::1]:4711, or without a port."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _bucket_name(address: Address | None) -> str:
    """Whoever has one IPv6 address has the whole /64 that it lies in."""
    if isinstance(address, ipaddress.IPv6Address):
        return f"{ipaddress.IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address) if address else "unknown"
