"""The metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gateway.domain.messages import Usage
from gateway.observability.metrics import Metrics
from tests.support.activities import chat, rating


def value(metrics: Metrics, name: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_chat_is_counted_once() -> None:
    """A chat is counted by route, model and outcome, with its tokens and times."""
    metrics = Metrics(models=["default"])
    metrics.chat(chat(), Usage(prompt_tokens=7, completion_tokens=50, total_tokens=57))
    metrics.chat(chat(first_token_ms=None), None)
    assert value(metrics, "gateway_requests_total", route="/chat/stream", model="default", outcome="complete") == 2
    assert value(metrics, "gateway_tokens_total", model="default", kind="completion") == 50
    assert value(metrics, "gateway_first_token_seconds_count", model="default") == 1
    assert value(metrics, "gateway_duration_seconds_count", model="default") == 2


def test_a_name_of_a_family_counts_as_the_family() -> None:
    """What callers put in the place of the star makes no label; the longest beginning counts."""
    metrics = Metrics(models=["up/*", "up/big-*", "up/known"], targets=["up/*"])
    for model in ("up/known", "up/a", "up/b", "up/big-c", "down/d"):
        metrics.chat(chat(model=model), None)
    metrics.attempt("up/a", "ok")
    assert {
        name: value(metrics, "gateway_requests_total", route="/chat/stream", model=name, outcome="complete")
        for name in ("up/known", "up/*", "up/big-*", "other", "up/a")
    } == {"up/known": 1, "up/*": 2, "up/big-*": 1, "other": 1, "up/a": None}
    assert value(metrics, "gateway_provider_attempts_total", target="up/*", result="ok") == 1


def test_callers_cannot_make_labels() -> None:
    """Unknown models, targets and names count as other, until the configuration knows them."""
    metrics = Metrics()
    metrics.chat(chat(model="made-up"), None)
    metrics.attempt("x/y", "ok")
    metrics.cooldown("x/y")
    metrics.configure(["made-up"], ["x/y"], [])
    metrics.attempt("x/y", "ok")
    metrics.cooldown("x/y")
    text = metrics.render().decode()
    assert 'model="other"' in text
    assert "made-up" not in text
    assert value(metrics, "gateway_provider_attempts_total", target="other", result="ok") == 1
    assert value(metrics, "gateway_provider_attempts_total", target="x/y", result="ok") == 1
    assert value(metrics, "gateway_provider_cooldowns_total", target="x/y") == 1


def test_ratings_by_kind() -> None:
    """Ratings are counted as positive, negative, value or retracted."""
    metrics = Metrics()
    for verdict in (True, False, 0.5, None, True):
        metrics.rating(rating(verdict))
    kinds = {
        kind: value(metrics, "gateway_ratings_total", name="user_feedback", kind=kind)
        for kind in ("positive", "negative", "value", "retracted")
    }
    assert kinds == {"positive": 2, "negative": 1, "value": 1, "retracted": 1}


def test_the_plain_counters() -> None:
    """Each event raises its counter by one."""
    metrics = Metrics()
    metrics.merged()
    metrics.send_timeout()
    metrics.heartbeat()
    metrics.checkpoint(3)
    metrics.resumed()
    metrics.refused(401)
    metrics.opened("http")
    metrics.opened("http")
    metrics.closed("http")
    assert value(metrics, "gateway_stream_merges_total") == 1
    assert value(metrics, "gateway_send_timeouts_total") == 1
    assert value(metrics, "gateway_heartbeats_total") == 1
    assert value(metrics, "gateway_checkpoints_total") == 3
    assert value(metrics, "gateway_resumes_total") == 1
    assert value(metrics, "gateway_refused_total", status="401") == 1
    assert value(metrics, "gateway_open_connections", kind="http") == 1


def test_watched_values_are_read_when_asked_for() -> None:
    """Values of other parts are read at each scrape."""
    metrics, runs = Metrics(), [1, 2]
    metrics.watch("gateway_running_streams", "Runs.", runs.__len__)
    metrics.watch("gateway_log_lines_dropped", "Lines.", lambda: 5, counts=True)
    runs.append(3)
    assert value(metrics, "gateway_running_streams") == 3
    assert value(metrics, "gateway_log_lines_dropped_total") == 5


def test_two_gateways_share_nothing() -> None:
    """Each gateway has its own registry, and its text can be parsed."""
    one, two = Metrics(), Metrics()
    one.heartbeat()
    assert value(two, "gateway_heartbeats_total") == 0
    assert list(text_string_to_metric_families(one.render().decode()))
