"""The one configuration in force, and who is told when another one takes its place.

app.py makes it before any other part. A part that only reads keeps it and looks at `value` when it needs something; a
part that derives something from it subscribes. config/watch.py replaces it. How a configuration is read is load.py's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.config.schema import Config

Subscriber = Callable[[Config], None]
_log = logging.getLogger("gateway.config")


class Current:
    """The configuration in force is `value`. Subscribers are plain functions, so that all change between two awaits."""

    def __init__(self, value: Config) -> None:
        self.value = value
        self._subscribers: list[Subscriber] = []

    def subscribe(self, callback: Subscriber) -> None:
        """Call `callback` now, and again with each configuration that takes this one's place, in order of arrival."""
        callback(self.value)
        self._subscribers.append(callback)

    def replace(self, value: Config) -> None:
        """Put another configuration in force and tell all subscribers, or none: where one of them fails, those that
        were told before it, and itself, get the old one again, and its exception is raised."""
        old, self.value = self.value, value
        for told, subscriber in enumerate(self._subscribers, 1):
            try:
                subscriber(value)
            except Exception:
                self.value = old
                self._restore(self._subscribers[:told])
                raise

    def _restore(self, subscribers: list[Subscriber]) -> None:
        for subscriber in subscribers:
            try:
                subscriber(self.value)
            except Exception:
                _log.exception("A part could not go back to the old configuration. Restart the gateway.")
