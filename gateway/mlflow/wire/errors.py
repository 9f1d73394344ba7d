"""Errors in the shapes of MLflow, `{"error_code", "message"}`, and of OTLP, `{"detail"}`. See routes.py.

Clients retry 408, 429 and 5xx for minutes, so no permanent fault may have one of these.
"""

from __future__ import annotations

import msgspec

from gateway.errors import GatewayError
from gateway.wire.errors import Wire

# MLflow's error_code by the gateway's status
_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "ENDPOINT_NOT_FOUND",
    408: "BAD_REQUEST",
    409: "RESOURCE_ALREADY_EXISTS",
    413: "BAD_REQUEST",
    415: "BAD_REQUEST",
    422: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
# where MLflow answers with another status than the gateway
_STATUS = {405: 404, 409: 400, 415: 400, 422: 400}


def _write(error: GatewayError, trace_id: str | None) -> tuple[int, bytes]:
    code = "ENDPOINT_NOT_FOUND" if error.code == "unknown_path" else _CODES.get(error.status, "INTERNAL_ERROR")
    body = {"error_code": code, "message": error.message}
    return _STATUS.get(error.status, error.status), msgspec.json.encode(body)


def _write_otlp(error: GatewayError, trace_id: str | None) -> tuple[int, bytes]:
    """Write an error of the OTLP route. A missing header is a list there, as FastAPI has it."""
    detail: object = error.message
    if error.details:
        detail = [{"loc": ["header", field], "msg": problem} for field, problem in error.details]
    return error.status, msgspec.json.encode({"detail": detail})


MLFLOW = Wire("mlflow", _write, prefixes=("/api/2.0/mlflow", "/api/3.0/mlflow"))
OTLP = Wire("otlp", _write_otlp)
