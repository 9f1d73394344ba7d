"""Assessments: feedback and expectations, on the same rows as /feedback."""

from __future__ import annotations

from typing import Any

from gateway.domain import ids
from gateway.mlflow.call import Call
from gateway.mlflow.scripts import assessments as sql
from gateway.mlflow.wire import assessments as wire


async def create(call: Call) -> Any:
    """Never overrides what it doesn't name."""
    message = call.read(wire.Create).assessment
    new = wire.read_new(message, call.project, call.params["trace_id"], ids.new_assessment_id(), call.now)
    stored = await call.store.write(sql.create_assessment, new)
    if stored.kind == "feedback" and stored.source_type == "HUMAN":
        call.announce(stored)
    return {"assessment": wire.write(stored)}


async def get(call: Call) -> Any:
    return {"assessment": wire.write(await call.store.read(sql.get_assessment, *_whose(call)))}


async def update(call: Call) -> Any:
    change = wire.read_change(call.read(wire.Update))
    changed = await call.store.write(sql.update_assessment, *_whose(call), change, call.now)
    return {"assessment": wire.write(changed)}


async def delete(call: Call) -> Any:
    await call.store.write(sql.delete_assessment, *_whose(call))
    return {}


def _whose(call: Call) -> tuple[str, str, str]:
    return call.project, call.params["trace_id"], call.params["assessment_id"]
