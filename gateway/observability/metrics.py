"""Prometheus metrics, in a registry of their own. Plain methods; who counts what, `app.py` wires.

Label values are bounded: a model that isn't configured, or a target that isn't named, counts as "other".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.domain.messages import Usage
from gateway.domain.trace import ChatRecord, RatingRecord

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)
OTHER = "other"


class Metrics:
    """All the counters of one gateway. `models`, `targets`, `names`: the label values that are known beforehand."""

    def __init__(self, models: Iterable[str] = (), targets: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.configure(models, targets, names)
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self._requests = counter("gateway_requests", "Finished chats.", "route", "model", "outcome")
        self._tokens = counter("gateway_tokens", "Tokens by kind.", "model", "kind")
        self._first_token = histogram("gateway_first_token_seconds", "Until the first token.", _SECONDS, "model")
        self._duration = histogram("gateway_duration_seconds", "Until the end of the answer.", _SECONDS, "model")
        self._refused = counter("gateway_refused", "Requests refused before they got a trace.", "status")
        self._ratings = counter("gateway_ratings", "Ratings and retractions.", "name", "kind")
        self._attempts = counter("gateway_provider_attempts", "Calls to providers.", "target", "result")
        self._cooldowns = counter("gateway_provider_cooldowns", "Targets set aside after failures.", "target")
        self._merges = counter("gateway_stream_merges", "Times a reader that was behind got tokens merged.")
        self._send_timeouts = counter("gateway_send_timeouts", "Clients dropped because they took nothing.")
        self._heartbeats = counter("gateway_heartbeats", "Comments and pings sent while idle.")
        self._checkpoints = counter("gateway_checkpoints", "Running answers whose text was kept.")
        self._resumes = counter("gateway_resumes", "Readers that came back.")
        self._connections = gauge("gateway_open_connections", "Open requests and sockets.", "kind")
        # A label's look-up costs more than the count, so the children of the hot path are kept.
        self._hot: dict[tuple[str, str, str], tuple[Any, ...]] = {}
        self._http = self._connections.labels("http")

    def configure(self, models: Iterable[str], targets: Iterable[str], names: Iterable[str]) -> None:
        """The label values to tell apart from now on; called again when the configuration changes."""
        self._models, self._targets = frozenset(models), frozenset(targets)
        self._names = frozenset({"user_feedback", *names})

    def watch(self, name: str, text: str, read: Callable[[], float], *, counts: bool = False) -> None:
        """A value that is read when it is asked for: `metrics.watch("gateway_running_streams", …, runs.__len__)`."""
        self.registry.register(_Watched(name, text, read, counts))

    def chat(self, record: ChatRecord, usage: Usage | None) -> None:
        """A chat finished."""
        model = record.model if record.model in self._models else OTHER
        key = (record.route, model, record.outcome)
        if (children := self._hot.get(key)) is None:
            children = self._hot[key] = (
                self._requests.labels(*key),
                self._duration.labels(model),
                self._first_token.labels(model),
                self._tokens.labels(model, "prompt"),
                self._tokens.labels(model, "completion"),
            )
        requests, duration, first_token, prompt, completion = children
        requests.inc()
        duration.observe(record.duration_ms / 1000)
        if record.first_token_ms is not None:
            first_token.observe(record.first_token_ms / 1000)
        if usage is not None:
            prompt.inc(max(0, usage.prompt_tokens))
            completion.inc(max(0, usage.completion_tokens))

    def rating(self, record: RatingRecord) -> None:
        """A rating or a retraction was committed."""
        kind = {None: "retracted", True: "positive", False: "negative"}
        what = kind[record.value] if record.value is None or isinstance(record.value, bool) else "value"
        self._ratings.labels(record.name if record.name in self._names else OTHER, what).inc()

    def refused(self, status: int) -> None:
        """A request was refused before it got a trace."""
        self._refused.labels(str(status)).inc()

    def attempt(self, target: str, result: str) -> None:
        """A provider was called; `result` is "ok", "cancelled" or an error's code."""
        self._attempts.labels(target if target in self._targets else OTHER, result).inc()

    def cooldown(self, target: str) -> None:
        """A target was set aside for a while."""
        self._cooldowns.labels(target if target in self._targets else OTHER).inc()

    def merged(self, count: int = 1) -> None:
        """A reader that was behind got several log entries as one event."""
        self._merges.inc(count)

    def send_timeout(self) -> None:
        """A client took nothing for `send_timeout_s`."""
        self._send_timeouts.inc()

    def heartbeat(self) -> None:
        """A comment or ping went out on an idle stream."""
        self._heartbeats.inc()

    def checkpoint(self, count: int = 1) -> None:
        """So many running answers were checkpointed."""
        self._checkpoints.inc(count)

    def resumed(self) -> None:
        """A reader came back."""
        self._resumes.inc()

    def opened(self, kind: str) -> None:
        """A request ("http") or socket ("websocket") began."""
        (self._http if kind == "http" else self._connections.labels(kind)).inc()

    def closed(self, kind: str) -> None:
        """It ended."""
        (self._http if kind == "http" else self._connections.labels(kind)).dec()

    def render(self) -> bytes:
        """Prometheus' text format; its content type is CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=buckets)


class _Watched(Collector):
    def __init__(self, name: str, text: str, read: Callable[[], float], counts: bool) -> None:
        self._family = CounterMetricFamily if counts else GaugeMetricFamily
        self._name, self._text, self._read = name, text, read

    def collect(self) -> Iterable[Metric]:
        yield self._family(self._name, self._text, value=self._read())
