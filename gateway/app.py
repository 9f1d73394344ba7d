"""The composition root: makes every part and hands it what it needs, runs them, and takes them down in order.

SIGTERM ─▶ draining: /readyz 503, new chats 503 ─▶ running streams get drain_s ─▶ the rest end `interrupted`
        ─▶ sockets close 1001 ─▶ the HTTP server exits ─▶ store closed ─▶ exit code 0
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import secrets
import signal
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from gateway.access.authenticator import Door
from gateway.access.keys import KeyRing, keys_required
from gateway.access.limits import Limits
from gateway.chat import Chat, Settings
from gateway.config.load import config_hash
from gateway.config.schema import Config, Target
from gateway.config.watch import watch
from gateway.domain import ids
from gateway.domain.trace import Attempt, ChatRecord, RatingRecord, TraceEnd
from gateway.erasure import Erasure
from gateway.errors import GatewayError, StoreUnavailable
from gateway.feedback.service import Feedback
from gateway.mlflow.wire.errors import MLFLOW
from gateway.observability.feed import Feed
from gateway.observability.logs import Logs, local_url, program, startup_lines
from gateway.observability.metrics import Metrics
from gateway.providers.base import Provider
from gateway.providers.demo import DemoProvider
from gateway.providers.openai import OpenAIProvider
from gateway.providers.router import Router
from gateway.storage.retention import keep_sweeping
from gateway.storage.sqlite.engine import SQLiteStore
from gateway.storage.sqlite.file import check_unowned, parse_url
from gateway.streaming.runs import Runs
from gateway.web.application import Application
from gateway.web.files import Pages
from gateway.web.mlflow import MLFLOW_ROUTES
from gateway.web.openapi import document
from gateway.web.routes import ROUTES
from gateway.web.server import Server, listen, server
from gateway.web.types import Services
from gateway.wire.errors import AI_SDK, OPENAI

_KEYS_EVERY_S = 1.0
_log = logging.getLogger("gateway.app")


class Gateway:
    """All parts of one running gateway. `app` is the ASGI application."""

    def __init__(
        self, config: Config, store: SQLiteStore, keys: KeyRing, logs: Logs, host: str, signing_key: str
    ) -> None:
        self.store, self.keys, self.logs = store, keys, logs
        self.metrics = Metrics(*_labels(config))
        self.feed = Feed()
        self.providers: dict[str, tuple[Any, Provider]] = {}
        self._retired: list[Provider] = []
        counters = {
            "heartbeats": self.metrics.heartbeat,
            "send_timeouts": self.metrics.send_timeout,
            "checkpoints": self.metrics.checkpoint,
        }
        self.runs = Runs(store, config.streaming, lambda what: counters[what]())
        settings, limits = self._settings(config), Limits(config)
        self.chat = Chat(settings, store, self.runs, self._finished, lambda: self.door.tokens, limits)
        self.door = Door(keys, lambda: self.chat.settings.config, host, signing_key)
        feedback = Feedback(
            store, lambda: self.chat.settings.config.feedback.dimensions, self._rated, self.chat.limits.rating
        )
        self.erasure = Erasure(store, self.runs, lambda: self.chat.settings.config)
        openapi = document()
        services = Services(
            self.chat, feedback, store, self.door, self.metrics, self.feed, openapi, self.erasure, Pages()
        )
        self.app = Application(services, (*ROUTES, *MLFLOW_ROUTES), (MLFLOW, OPENAI, AI_SDK))
        self._watch_values()

    def reload(self, config: Config) -> None:
        """Take models, limits and feedback for new requests; the address and the store stay as they are."""
        old = self.chat.settings.config
        config = msgspec.structs.replace(config, store=msgspec.structs.replace(config.store, url=old.store.url))
        self.chat.settings = self._settings(config)
        self.runs.limits = config.streaming
        self.chat.limits.configure(config)
        self.door.configure(config)
        self.metrics.configure(*_labels(config))

    def background(self, config: Config, path: Path | None) -> list[Coroutine[Any, Any, None]]:
        """The loops that run beside the server."""
        return [
            self.runs.sweep_forever(),
            keep_sweeping(self.store, lambda: self.chat.settings.config.store),
            self._refresh_keys(),
            self.erasure.follow_notes(),
            watch(path, config, self.reload, os.environ),
        ]

    async def drain(self, server: Server) -> None:
        """See the module's head."""
        _log.info("draining; streams that are running: %d", len(self.runs.running))
        await self.runs.drain(self.chat.settings.config.server.drain_s)
        await asyncio.gather(*(socket.leave() for socket in list(self.app.sockets)), return_exceptions=True)
        await self.runs.farewell()
        self.feed.close()
        server.should_exit = True

    async def close(self) -> None:
        """Let go of connections and the store. What still runs, since a second signal came, ends `interrupted`."""
        await self.runs.drain(0)
        for provider in [*self._retired, *(provider for _, provider in self.providers.values())]:
            await provider.close()
        with contextlib.suppress(StoreUnavailable):
            await self.store.touch_keys(self.keys.take_used())
        await self.store.close()

    def _settings(self, config: Config) -> Settings:
        for warning in config.auth.warnings():
            _log.warning("%s", warning)
        providers: dict[str, tuple[Any, Provider]] = {}
        for name, wanted in config.providers.items():
            known = self.providers.get(name)
            if known is not None and known[0] == wanted:
                providers[name] = known
            else:
                made: Provider = DemoProvider() if wanted.kind == "demo" else OpenAIProvider(wanted)
                providers[name] = (wanted, made)
        # Running chats go on with the providers they began with, so that these are closed only at the end.
        self._retired += [
            known for name, (_, known) in self.providers.items() if providers.get(name, (0, 0))[1] is not known
        ]
        self.providers = providers
        router = Router(
            config,
            {name: provider for name, (_, provider) in providers.items()},
            self._attempted,
            self.metrics.cooldown,
        )
        return Settings(config, config_hash(config), router)

    def _finished(self, record: ChatRecord, end: TraceEnd) -> None:
        self.metrics.chat(record, end.usage)
        self.logs.record(record)
        self.feed.publish(record)

    def _rated(self, record: RatingRecord) -> None:
        self.metrics.rating(record)
        self.logs.record(record)
        self.feed.publish(record)

    def _attempted(self, target: str, attempt: Attempt) -> None:
        self.metrics.attempt(target, attempt.error or "ok")

    async def _refresh_keys(self) -> None:
        """Keys that another command made or revoked count within two seconds."""
        while True:
            await asyncio.sleep(_KEYS_EVERY_S)
            try:
                self.keys.refresh(await self.store.list_keys())
                if used := self.keys.take_used():
                    await self.store.touch_keys(used)
            except GatewayError as error:
                _log.warning("the keys can't be read anew: %s", error.message)
            except Exception:
                _log.exception("the keys can't be read anew")

    def _watch_values(self) -> None:
        stats = self.store.stats
        watched = self.metrics.watch
        watched("gateway_running_streams", "Answers that are being given.", lambda: len(self.runs.running))
        watched("gateway_readers", "Clients that read a running answer.", lambda: self.runs.readers)
        watched("gateway_kept_streams", "Finished answers kept for a resume.", lambda: self.runs.kept)
        watched("gateway_store_queue", "Writes that wait for their commit.", lambda: stats.queued)
        watched("gateway_store_rows", "Rows written.", lambda: stats.rows, counts=True)
        watched("gateway_store_batches", "Commits.", lambda: stats.batches, counts=True)
        watched("gateway_store_failed_batches", "Commits that failed.", lambda: stats.failed_batches, counts=True)
        watched("gateway_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks()))
        watched("gateway_log_lines_dropped", "Lines stdout didn't take.", lambda: self.logs.dropped, counts=True)


def _labels(config: Config) -> tuple[list[str], list[str], list[str]]:
    """Label values the metrics may use: models, targets, names of ratings."""
    targets = [
        target.target if isinstance(target, Target) else target
        for model in config.models.values()
        for target in model.targets
    ]
    return list(config.models), targets, [f"user_{name}" for name in config.feedback.dimensions]


@contextlib.asynccontextmanager
async def opened(config: Config, logs: Logs) -> AsyncIterator[Gateway]:
    """A gateway with its store open and recovered; closed again at the end."""
    store = await SQLiteStore.open(parse_url(config.store.url), own=True)
    try:
        recovered = await store.recover(ids.now_ms())
        keys = KeyRing(await store.list_keys())
        host = config.server.host
        if keys_required(config.auth, host) and not len(keys):
            raise GatewayError(
                f"keys are required on {host} and there is none yet; make one with: "
                f"{program()} keys create --role admin --store {config.store.url}"
            )
        signing_key = await store.signing_key(secrets.token_urlsafe(32))
        gateway = Gateway(config, store, keys, logs, host, signing_key)
        synchronous = await store.synchronous()
        gateway.metrics.watch("gateway_store_synchronous", "How SQLite syncs; 2 is FULL.", lambda: synchronous)
    except BaseException:
        await store.close()
        raise
    if recovered:
        _log.warning("%d answers were cut off when the server stopped last; their text is kept", recovered)
    try:
        yield gateway
    finally:
        await gateway.close()


async def run(config: Config, path: Path | None, logs: Logs) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends the drain."""
    try:
        listener = listen(config.server.host, config.server.port)
    except GatewayError:
        check_unowned(parse_url(config.store.url))  # where it was started twice, this says which process has it
        raise
    with contextlib.closing(listener):
        async with opened(config, logs) as gateway:
            http = server(gateway.app, config, gateway.chat.limits, gateway.metrics.refused)
            loop = asyncio.get_running_loop()
            tasks = [asyncio.create_task(work) for work in gateway.background(config, path)]
            drains: list[asyncio.Task[None]] = []

            def on_signal() -> None:
                if drains:
                    http.force_exit = http.should_exit = True
                else:
                    drains.append(loop.create_task(gateway.drain(http)))

            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, on_signal)
            url = local_url(config.server.host, listener.getsockname()[1])
            for line in startup_lines(config, url, keys_required(config.auth, config.server.host)):
                logs.plain(line)
            gc.collect()
            gc.freeze()  # what is here now stays; the collector need not look at it again
            gc.set_threshold(20_000, 20, 20)  # a chat leaves hardly a cycle behind: looking less often costs no memory
            try:
                await http.serve(sockets=[listener])
            finally:
                for task in (*tasks, *drains):
                    task.cancel()
                await asyncio.gather(*tasks, *drains, return_exceptions=True)
                _log.info("stopped")


def serve(config: Config, path: Path | None) -> int:
    """Run the server; the exit code. Raises GatewayError where it can't start."""
    _allow_many_files()
    logs = Logs.on_stdout()
    logs.install()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(config, path, logs))
    finally:
        logs.close()
    return 0


def _allow_many_files() -> None:
    """A stream holds two sockets, and the usual limit of 1,024 files is far below `max_streams`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems name a hard limit that they don't grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
