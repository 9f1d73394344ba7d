"""Handlers of assessments: feedback and expectations, on the same rows as /feedback."""

from __future__ import annotations

from typing import Any

from gateway.domain import ids
from gateway.mlflow.request import Request
from gateway.mlflow.scripts import assessments as scripts
from gateway.mlflow.wire import assessments as wire


async def create(request: Request) -> Any:
    """Log an assessment. It overrides another only if it names it."""
    message = request.decode(wire.CreateAssessment).assessment
    new = wire.read_assessment(
        message, request.project, request.params["trace_id"], ids.new_assessment_id(), request.now
    )
    stored = await request.write(scripts.create_assessment, new)
    if stored.kind == "feedback" and stored.source_type == "HUMAN":
        request.announce(stored)
    return {"assessment": wire.write_assessment(stored)}


async def get(request: Request) -> Any:
    """Read one assessment."""
    found = await request.store.read(scripts.get_assessment, *_key(request))
    return {"assessment": wire.write_assessment(found)}


async def update(request: Request) -> Any:
    """Change the fields that the mask names; the rest stays."""
    change = wire.read_change(request.decode(wire.UpdateAssessment))
    changed = await request.write(scripts.update_assessment, *_key(request), change, request.now)
    return {"assessment": wire.write_assessment(changed)}


async def delete(request: Request) -> Any:
    """Delete an assessment. What it overrode becomes valid again."""
    await request.write(scripts.delete_assessment, *_key(request))
    return {}


def _key(request: Request) -> tuple[str, str, str]:
    return request.project, request.params["trace_id"], request.params["assessment_id"]
