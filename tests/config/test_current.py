"""The configuration in force: all who derive something from it change together, or none does."""

from __future__ import annotations

import pytest

from gateway.config.current import Current
from gateway.config.schema import Config, Server

OLD, NEW = Config(server=Server(drain_s=1)), Config(server=Server(drain_s=2))


class Part:
    """A subscriber that keeps what it was told, and fails on the configurations in `fails_on`."""

    def __init__(self, *fails_on: Config) -> None:
        self.told: list[Config] = []
        self._fails_on = fails_on

    def configure(self, config: Config) -> None:
        self.told.append(config)
        if any(config is each for each in self._fails_on):
            raise RuntimeError("boom")


def test_a_subscriber_is_told_at_once_and_at_each_change() -> None:
    """It never sees the time before its first configuration."""
    current, part = Current(OLD), Part()
    current.subscribe(part.configure)
    current.replace(NEW)
    assert part.told == [OLD, NEW]
    assert current.value is NEW


def test_all_are_told_in_the_order_in_which_they_came() -> None:
    """A part that stands on another one subscribes after it."""
    current, order = Current(OLD), list[str]()
    current.subscribe(lambda _: order.append("first"))
    current.subscribe(lambda _: order.append("second"))
    order.clear()
    current.replace(NEW)
    assert order == ["first", "second"]


def test_a_subscriber_sees_the_new_value_while_it_is_told() -> None:
    """What it asks the other parts for is the new configuration's, too."""
    current, seen = Current(OLD), list[Config]()
    current.subscribe(lambda _: seen.append(current.value))
    current.replace(NEW)
    assert seen == [OLD, NEW]


def test_where_one_fails_all_go_back() -> None:
    """Those before it get the old configuration again, those after it never hear of the new one."""
    current, before, failing, after = Current(OLD), Part(), Part(NEW), Part()
    for part in (before, failing, after):
        current.subscribe(part.configure)
    with pytest.raises(RuntimeError, match="boom"):
        current.replace(NEW)
    assert current.value is OLD
    assert (before.told, failing.told, after.told) == ([OLD, NEW, OLD], [OLD, NEW, OLD], [OLD])


def test_a_part_that_cannot_go_back_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The others go back all the same."""
    current, stubborn, failing = Current(OLD), Part(), Part(NEW)
    current.subscribe(stubborn.configure)
    current.subscribe(failing.configure)
    stubborn._fails_on = (OLD,)
    with pytest.raises(RuntimeError, match="boom"):
        current.replace(NEW)
    assert "A part could not go back to the old configuration. Restart the gateway." in caplog.text
    assert failing.told == [OLD, NEW, OLD]


def test_one_that_fails_at_once_is_not_subscribed() -> None:
    """Its part was not made."""
    current, part = Current(OLD), Part(OLD)
    with pytest.raises(RuntimeError, match="boom"):
        current.subscribe(part.configure)
    current.replace(NEW)
    assert part.told == [OLD]
