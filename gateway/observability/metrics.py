"""Prometheus metrics, in a registry of their own. app.py connects the methods with the parts that call them.

The set of label values is bounded: a model or target that isn't configured counts as "other", and one of a family
(`up/*`) as that family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.config.schema import Config, Target
from gateway.domain.activity import ChatActivity, RatingActivity
from gateway.domain.messages import Usage

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)
OTHER = "other"


def label_values(config: Config) -> tuple[list[str], list[str], list[str]]:
    """Return the label values that the metrics may use: models, targets, names of ratings."""
    targets = [
        target.target if isinstance(target, Target) else target
        for model in config.models.values()
        for target in model.targets
    ]
    return list(config.models), targets, [f"user_{name}" for name in config.feedback.dimensions]


class _Labels:
    """The label values of models, or of targets."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        families = [name for name in self._names if name.endswith("*")]
        self._families = sorted(families, key=len, reverse=True)

    def of(self, name: str) -> str:
        """Return the value that a name counts as."""
        if name in self._names:
            return name
        return next((family for family in self._families if name.startswith(family[:-1])), OTHER)


class Metrics:
    """The counters of one gateway. `models`, `targets` and `names` (of ratings) are the label values to tell apart."""

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
        # Looking up labels costs more than counting, so the hot path keeps its children.
        self._hot: dict[tuple[str, str, str], tuple[Any, ...]] = {}
        self._http = self._connections.labels("http")

    def configure(self, models: Iterable[str], targets: Iterable[str], names: Iterable[str]) -> None:
        """Set the label values to tell apart. Called again when the configuration changes."""
        self._models, self._targets = _Labels(models), _Labels(targets)
        self._names = frozenset({"user_feedback", *names})

    def watch(self, name: str, text: str, read: Callable[[], float], *, counts: bool = False) -> None:
        """Register a value that `read` returns at each scrape: a gauge, or a counter if `counts`."""
        self.registry.register(_Watched(name, text, read, counts))

    def chat(self, activity: ChatActivity, usage: Usage | None) -> None:
        """Count a finished chat."""
        model = self._models.of(activity.model)
        key = (activity.route, model, activity.outcome)
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
        duration.observe(activity.duration_ms / 1000)
        if activity.first_token_ms is not None:
            first_token.observe(activity.first_token_ms / 1000)
        if usage is not None:
            prompt.inc(max(0, usage.prompt_tokens))
            completion.inc(max(0, usage.completion_tokens))

    def rating(self, activity: RatingActivity) -> None:
        """Count a committed rating or retraction."""
        kinds = {None: "retracted", True: "positive", False: "negative"}
        kind = kinds[activity.value] if activity.value is None or isinstance(activity.value, bool) else "value"
        self._ratings.labels(activity.name if activity.name in self._names else OTHER, kind).inc()

    def refused(self, status: int) -> None:
        """Count a request that was refused before it had a trace."""
        self._refused.labels(str(status)).inc()

    def attempt(self, target: str, result: str) -> None:
        """Count a call to a provider. `result` is "ok", "cancelled" or an error's code."""
        self._attempts.labels(self._targets.of(target), result).inc()

    def cooldown(self, target: str) -> None:
        """Count a target that was put into cooldown."""
        self._cooldowns.labels(self._targets.of(target)).inc()

    def merged(self, count: int = 1) -> None:
        """Count events that merged several log entries for a reader that was behind."""
        self._merges.inc(count)

    def send_timeout(self) -> None:
        """Count a client that took nothing for `send_timeout_s`, and was dropped."""
        self._send_timeouts.inc()

    def heartbeat(self) -> None:
        """Count a comment or ping on an idle stream."""
        self._heartbeats.inc()

    def checkpoint(self, count: int = 1) -> None:
        """Count running answers whose text was checkpointed."""
        self._checkpoints.inc(count)

    def resumed(self) -> None:
        """Count a reader that resumed."""
        self._resumes.inc()

    def opened(self, kind: str) -> None:
        """Count a request (`kind` "http") or a socket ("websocket") as open."""
        (self._http if kind == "http" else self._connections.labels(kind)).inc()

    def closed(self, kind: str) -> None:
        """Count a request or socket as closed."""
        (self._http if kind == "http" else self._connections.labels(kind)).dec()

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format, whose content type is CONTENT_TYPE."""
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
