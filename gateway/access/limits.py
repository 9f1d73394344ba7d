"""How much one caller, and all of them together, may ask for: requests a minute, open streams, frames, ratings.

It is not who the caller is (authenticator.py), nor the bounds of one connection (web/http_protocol.py). Requests,
WebSockets and the spine ask it; what it remembers of callers is bounded, since addresses are the attacker's to choose.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm). So a limit of N in a
period allows N at once, and then one more each time that a share of the period has passed.
"""

from __future__ import annotations

import functools
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from gateway.access.address import Headers, client_address, parse_networks, subscriber
from gateway.access.memory import Memory
from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.errors import InvalidValue, TooManyRequests, Unavailable

Clock = Callable[[], float]
Release = Callable[[], None]
MOST_BUCKETS = 50_000  # of a kind: about 200 bytes each
_BURST_S = 5  # a socket's frames may come in bursts of so many seconds' worth
_DAY_S = 86_400.0
_SIGN_INS = 600  # tries a minute from an address, whatever the configuration says
_ROUNDING_S = 1e-6


class Buckets:
    """Token buckets by name. The one that wasn't used for the longest time is forgotten beyond MOST_BUCKETS."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, name: str, count: int, period_s: float) -> float:
        """Take one of `count` in `period_s`. Return 0, or the seconds until there is one."""
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
        self._by_address, self._by_token, self._signing_in = Buckets(clock), Buckets(clock), Buckets(clock)
        self._streams: dict[str, int] = {}  # open ones, by key or caller's address
        self._streams_at: dict[str, int] = {}  # by address
        self.open = 0
        self.memory = Memory(current)
        current.subscribe(self._configure)

    def _configure(self, config: Config) -> None:
        """Take other limits. What was used so far counts on, but for streams that began without a limit."""
        self.config = config.limits
        self._trusted = parse_networks(config.server.trusted_proxies)
        each = config.limits
        self._addressed = bool(
            each.requests_per_minute
            or each.requests_per_minute_per_address
            or each.streams_per_key
            or each.streams_per_address
        )

    def arrive(self, headers: Headers, client_host: str | None) -> str:
        """Return the caller's address, as far as a limit wants it, before it is known who calls.

        Raise TooManyRequests where the address has had its share.
        """
        if not self._addressed:
            return ""
        address = subscriber(client_address(headers, client_host, self._trusted))
        self.again(address)
        return address

    def again(self, address: str) -> None:
        """Count one more request from an address, such as a frame of its socket. Raise TooManyRequests as `arrive`."""
        if address and (most := self.config.requests_per_minute_per_address):
            _spend(self._by_address, address, most, 60, "requests from this address")

    def sign_in(self, headers: Headers, client_host: str | None) -> None:
        """Count one try to sign in from the caller's address. Raise TooManyRequests."""
        address = subscriber(client_address(headers, client_host, self._trusted))
        _spend(self._signing_in, address, _SIGN_INS, 60, "tries to sign in from this address")

    def request(self, key_id: str | None, address: str, own: int = 0) -> None:
        """Count one request of a key, or of a keyless caller at this address; `own` is the key's own limit.

        Raise TooManyRequests where there were too many.
        """
        if most := own or self.config.requests_per_minute:
            if key_id is None:
                _spend(self._by_caller, address, most, 60, "requests")
            else:
                _spend(self._by_key, key_id, most, 60, "requests with this key")

    def stream(self, key_id: str | None, address: str) -> Release:
        """Count one more open stream. Call what this returns, once, when it is over.

        Raise Unavailable where all together have max_streams or max_memory_mb, TooManyRequests where the caller has
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
            raise _too_many(f"Too many streams with this key: at most {limits.streams_per_key} at once.")
        if 0 < limits.streams_per_address <= of_address:
            raise _too_many(f"Too many streams from this address: at most {limits.streams_per_address} at once.")
        self.open += 1
        self._streams[caller], self._streams_at[address] = of_caller + 1, of_address + 1
        return functools.partial(self._release, caller, address)

    @property
    def full(self) -> bool:
        """Return True while no more streams are taken from any caller."""
        return 0 < self.config.max_streams <= self.open or self.memory.full

    def _over(self) -> None:
        self.open -= 1

    def _release(self, caller: str, address: str) -> None:
        self._over()
        for counter, name in ((self._streams, caller), (self._streams_at, address)):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]

    def rating(self, token_id: str) -> None:
        """Count one rating with this feedback token. Raise TooManyRequests beyond ratings_per_token in a day."""
        if most := self.config.ratings_per_token:
            _spend(self._by_token, token_id, most, _DAY_S, "ratings of this answer", code="too_many_ratings")

    def frames(self) -> Callable[[], bool]:
        """Return, for one WebSocket, a function that says of each frame whether it is within the limit."""
        bucket = Buckets(self._clock)

        def allowed() -> bool:
            rate = self.config.socket_messages_per_s
            return not rate or bucket.take("", rate * _BURST_S, _BURST_S) == 0

        return allowed

    def messages(self, raw: bytes | msgspec.Raw) -> None:
        """Raise InvalidValue where a chat has too many messages, given as a JSON list."""
        most = self.config.max_messages
        text = memoryview(raw)
        if not most or len(text) < 16 * most:  # shorter than so many {"role":"user"}
            return
        if (count := len(msgspec.json.decode(text, type=list[msgspec.Raw]))) > most:
            problem = f"must have at most {most} entries, and has {count}"
            raise InvalidValue(f"messages {problem}.", details=[("messages", problem)])


def _spend(buckets: Buckets, name: str, most: int, period_s: float, what: str, code: str | None = None) -> None:
    if wait := buckets.take(name, most, period_s):
        per = "minute" if period_s == 60 else "day"
        raise TooManyRequests(f"Too many {what}: at most {most} a {per}.", code=code, retry_after=wait)


def _too_many(message: str) -> TooManyRequests:
    return TooManyRequests(message, code="too_many_streams", retry_after=1)
