"""The composition root: makes every part and hands it what it needs, runs them, and closes them in order.

SIGTERM ─▶ draining: /readyz 503, new chats 503 ─▶ running streams get drain_s ─▶ the rest end `interrupted`
        ─▶ sockets close 1001 ─▶ the HTTP server exits ─▶ store closed ─▶ exit code 0
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from gateway.access.authenticator import Authenticator
from gateway.access.keys import KeyRing
from gateway.access.limits import Limits
from gateway.access.local import keys_required
from gateway.access.memory import give_back_large_blocks
from gateway.access.oidc import OpenID
from gateway.access.people import People
from gateway.access.sign_ins import SignIns
from gateway.access.stored_keys import StoredKeys
from gateway.access.tokens import Tokens
from gateway.chat import Chat
from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.config.watch import watch
from gateway.domain import ids
from gateway.domain.activity import ChatActivity, RatingActivity
from gateway.domain.trace import Attempt, TraceEnd
from gateway.erasure import Erasure
from gateway.errors import GatewayError, StoreUnavailable
from gateway.feedback.service import Feedback
from gateway.mlflow import request as mlflow
from gateway.mlflow.imports import Imports
from gateway.mlflow.routes import ENDPOINTS
from gateway.mlflow.wire.errors import MLFLOW
from gateway.observability.feed import Feed
from gateway.observability.logs import Logs, local_url, program, startup_lines
from gateway.observability.metrics import Metrics, label_values
from gateway.providers.registry import Registry
from gateway.storage.engine import Opener, Store
from gateway.storage.recovery import recover
from gateway.storage.retention import keep_sweeping
from gateway.storage.scripts import keys as key_scripts
from gateway.storage.scripts.keys import list_keys
from gateway.streaming.runs import Runs
from gateway.web.application import Application
from gateway.web.binding import bind
from gateway.web.files import DOCS, STATIC, Pages
from gateway.web.openapi import document
from gateway.web.request import Request
from gateway.web.routes import ROUTES
from gateway.web.server import Server, listen, server
from gateway.web.types import Services
from gateway.wire.errors import AI_SDK, OPENAI

_log = logging.getLogger("gateway.app")


class Gateway:
    """All parts of one running gateway. `app` is the ASGI application."""

    def __init__(self, config: Config, store: Store, keys: KeyRing, logs: Logs, signing_key: str) -> None:
        self.store, self.keys, self.logs, self.imports = store, keys, logs, Imports()
        self.current = current = Current(config)
        current.subscribe(_log_warnings)
        current.subscribe(lambda config: setattr(logs, "declared", config.feedback.declared))

        self.feed = Feed()
        self.metrics = metrics = Metrics()
        current.subscribe(lambda config: metrics.configure(*label_values(config)))

        self.limits = Limits(current)
        tokens = Tokens((signing_key,), 0)
        current.subscribe(
            lambda config: tokens.configure(
                config.auth.signing_keys or (signing_key,), config.auth.feedback_token_ttl_s
            )
        )
        sign_ins = SignIns()
        self.authenticator = Authenticator(keys, People(keys, sign_ins, current), tokens, current)
        self.stored_keys = StoredKeys(store, keys, sign_ins)

        counters = {
            "heartbeats": metrics.heartbeat,
            "send_timeouts": metrics.send_timeout,
            "checkpoints": metrics.checkpoint,
        }
        self.runs = Runs(store, current, lambda what: counters[what]())
        self.providers = Registry(self._attempted, metrics.cooldown)
        self.chat = Chat(current, self.providers.router, store, self.runs, self._finished, tokens, self.limits)
        self.erasure = Erasure(store, self.runs, current)

        services = Services(
            current=current,
            limits=self.limits,
            chat=self.chat,
            feedback=Feedback(store, tokens, self._rated, self.limits.rating),
            store=store,
            authenticator=self.authenticator,
            stored_keys=self.stored_keys,
            openid=OpenID(current, signing_key),
            metrics=metrics,
            feed=self.feed,
            openapi=document(),
            erasure=self.erasure,
            pages=Pages(STATIC),
            docs=Pages(DOCS),
        )
        routes = (*ROUTES, *bind(ENDPOINTS, ("review",), _mlflow_request(self.imports)))
        self.app = Application(services, routes, (MLFLOW, OPENAI, AI_SDK))
        self._watch_values()

    def background(self, path: Path | None, load: Callable[[], Config]) -> list[Coroutine[Any, Any, None]]:
        """Return the loops that run beside the server."""
        return [
            self.runs.sweep_forever(),
            keep_sweeping(
                self.store,
                lambda: self.current.value.store,
                declared=lambda: self.current.value.feedback.declared,
            ),
            self.stored_keys.refresh_forever(),
            self.erasure.serve_mailbox(),
            watch(path, load, self.current),
        ]

    async def drain(self, server: Server) -> None:
        """End the streams, then the sockets, and let the server exit; the module's head shows the order."""
        _log.info("The server drains. Streams that are running: %d.", len(self.runs.running))
        await self.runs.drain(self.current.value.server.drain_s)
        self.store.end_searches()
        self.imports.end()
        await asyncio.gather(*(socket.leave() for socket in list(self.app.sockets)), return_exceptions=True)
        await self.runs.farewell()
        self.feed.close()
        server.should_exit = True

    async def close(self) -> None:
        """Close connections and the store. What still runs, since a second signal came, ends `interrupted`."""
        await self.runs.drain(0)
        await self.providers.close()
        with contextlib.suppress(StoreUnavailable):
            await self.stored_keys.write_back()
        await self.store.close()

    def _finished(self, record: ChatActivity, end: TraceEnd) -> None:
        self.metrics.chat(record, end.usage)
        self.logs.write_activity(record)
        self.feed.publish(record)

    def _rated(self, record: RatingActivity) -> None:
        self.metrics.rating(record)
        self.logs.write_activity(record)
        self.feed.publish(record)

    def _attempted(self, target: str, attempt: Attempt) -> None:
        self.metrics.attempt(target, attempt.error or "ok")

    def _watch_values(self) -> None:
        stats = self.store.stats
        watched = self.metrics.watch
        watched("gateway_running_streams", "Answers that are being given.", lambda: len(self.runs.running))
        watched("gateway_readers", "Clients that read a running answer.", lambda: self.runs.following)
        watched("gateway_kept_streams", "Finished answers kept for a resume.", lambda: self.runs.kept)
        watched("gateway_store_queue", "Writes that wait for their commit.", lambda: stats.queued)
        watched("gateway_store_rows", "Rows written.", lambda: stats.rows, counts=True)
        watched("gateway_store_batches", "Commits.", lambda: stats.batches, counts=True)
        watched("gateway_store_failed_batches", "Commits that failed.", lambda: stats.failed_batches, counts=True)
        watched("gateway_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks()))
        watched("gateway_log_lines_dropped", "Lines stdout didn't take.", lambda: self.logs.dropped, counts=True)


def _log_warnings(config: Config) -> None:
    for warning in config.auth.warnings():
        _log.warning("%s", warning)


def _mlflow_request(imports: Imports) -> Callable[[Request, bytes], mlflow.Request]:
    """Return a function that makes requests as the handlers of MLflow's endpoints take them."""

    def make(request: Request, body: bytes) -> mlflow.Request:
        return mlflow.Request(
            store=request.services.store,
            project=request.principal.project,
            now=ids.now_ms(),
            params=request.path_params,
            query=request.query(),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in request.raw_headers},
            body=body,
            imports=imports,
            announce=request.services.feedback.announce,
        )

    return make


@contextlib.asynccontextmanager
async def opened(config: Config, logs: Logs, stores: Opener) -> AsyncIterator[Gateway]:
    """Open and recover the store, and yield a gateway over it; close both at the end."""
    store = await stores.open_store(config.store.url, own=True)
    try:
        recovered = await recover(store, ids.now_ms())
        keys = KeyRing(await store.read(list_keys))
        if keys_required(config) and not len(keys):
            raise GatewayError(
                f"API keys are required on {config.server.host}, and there is none yet. Make one with: "
                f"{program()} keys create --role admin --store {config.store.url}"
            )
        signing_key = await store.write(key_scripts.signing_key, secrets.token_urlsafe(32))
        gateway = Gateway(config, store, keys, logs, signing_key)
        synchronous = await store.synchronous()
        gateway.metrics.watch(
            "gateway_store_synchronous",
            "How far commits are synced; 2 is FULL.",
            lambda: synchronous,
        )
    except BaseException:
        await store.close()
        raise
    if recovered:
        _log.warning("Answers that were cut off when the server stopped last: %d. Their text is kept.", recovered)
    try:
        yield gateway
    finally:
        await gateway.close()


async def run(path: Path | None, load: Callable[[], Config], config: Config, logs: Logs, stores: Opener) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends the drain."""
    try:
        listener = listen(config.server.host, config.server.port)
    except GatewayError:
        stores.check_unowned(config.store.url)  # where it was started twice, this says which process has it
        raise
    with contextlib.closing(listener):
        async with opened(config, logs, stores) as gateway:
            http = server(
                gateway.app, gateway.current, gateway.limits.memory, gateway.metrics.refused, gateway.app.wire_of
            )
            loop = asyncio.get_running_loop()
            tasks = [asyncio.create_task(work) for work in gateway.background(path, load)]
            drains: list[asyncio.Task[None]] = []

            def on_signal() -> None:
                if drains:
                    http.force_exit = http.should_exit = True
                else:
                    drains.append(loop.create_task(gateway.drain(http)))

            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, on_signal)
            url = local_url(config.server.host, listener.getsockname()[1])
            for line in startup_lines(config, url, keys_required(config)):
                logs.plain(line)
            gc.collect()
            gc.freeze()  # what is here now stays; the collector need not look at it again
            give_back_large_blocks()
            gc.set_threshold(20_000, 20, 20)  # a chat leaves hardly a cycle behind: looking less often costs no memory
            try:
                await http.serve(sockets=[listener])
            finally:
                for task in (*tasks, *drains):
                    task.cancel()
                await asyncio.gather(*tasks, *drains, return_exceptions=True)
                _log.info("The server has stopped.")


def serve(path: Path | None, load: Callable[[], Config], stores: Opener) -> int:
    """Run the server and return the exit code. `load` reads the configuration from `path`, and again when that changes.

    `stores` opens the store. Raise ConfigError, and GatewayError where it can't start.
    """
    config = load()
    _allow_many_files()
    logs = Logs.on_stdout()
    logs.install()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(path, load, config, logs, stores))
    finally:
        logs.close()
    return 0


def _allow_many_files() -> None:
    """Raise the limit of open files: a stream holds two, and the usual 1,024 are far below `max_streams`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems name a hard limit that they don't grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
