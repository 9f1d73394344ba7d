"""One gateway for all end-to-end tests, in front of the reference server and of recorded replies."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.support.playback import RECORDINGS, Playback
from tests.support.reference import KEY, AimockProcess
from tests.support.servers import GatewayProcess


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AimockProcess]:
    """A server by somebody else."""
    with AimockProcess(tmp_path_factory.mktemp("aimock")) as process:
        yield process


@pytest.fixture(scope="session")
def playback() -> Iterator[Playback]:
    """Recorded replies."""
    with Playback() as server:
        yield server


@pytest.fixture(scope="session")
def front(
    tmp_path_factory: pytest.TempPathFactory, reference: AimockProcess, playback: Playback
) -> Iterator[GatewayProcess]:
    """The gateway: the reference's models under their own names, and one model per recording."""
    recordings = {path.stem for path in RECORDINGS.iterdir() if path.suffix in (".sse", ".json")}
    models = {name: {"targets": [f"reference/{name}"], "retries": 0} for name in reference.models}
    models |= {name: {"targets": [f"playback/{name}"], "retries": 0} for name in recordings}
    config = {
        "providers": {
            "reference": {"kind": "openai", "base_url": reference.base_url, "api_key": "env:REFERENCE_KEY"},
            "playback": {"kind": "openai", "base_url": playback.base_url, "api_key": "sk-playback"},
        },
        "models": models,
        "streaming": {"disconnect_grace_s": 0.2},
    }
    with GatewayProcess(tmp_path_factory.mktemp("front"), config, env={"REFERENCE_KEY": KEY}) as process:
        yield process


@pytest.fixture(scope="session")
def client(front: GatewayProcess) -> Iterator[openai.OpenAI]:
    """The official client, pointed at the gateway, without retries of its own."""
    with openai.OpenAI(base_url=f"{front.url}/v1", api_key="unused", max_retries=0, timeout=30) as sdk:
        yield sdk


@pytest.fixture(scope="session")
def direct(reference: AimockProcess) -> Iterator[openai.OpenAI]:
    """The same client, pointed straight at the reference."""
    with openai.OpenAI(base_url=reference.base_url, api_key=KEY, max_retries=0, timeout=30) as sdk:
        yield sdk


@pytest.fixture(scope="session")
def recorded(playback: Playback) -> Iterator[openai.OpenAI]:
    """The same client, pointed straight at the recorded replies."""
    with openai.OpenAI(base_url=playback.base_url, api_key="sk-playback", max_retries=0, timeout=30) as sdk:
        yield sdk
