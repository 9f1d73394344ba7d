"""Texts and JSON that were never meant, and what fields of a name hold. Used by bad_input.py, which puts them there."""

from __future__ import annotations

from collections.abc import Sequence

DEEP = 250
ODD = ["\ud800", "a\udc00b", "\x00", "a\x00b"] * 3 + [
    "\ud800", "a\udc00b", "\udbff\udbff", "\x00", "a\x00b", "", " ", "x" * 251, "x" * 10_001, "\U0010ffff",
    "\uffff", "\ufeff", "\r\n", "\x1b[2J", "%00", "'", "''", '"', '"a', "`", "\\", "a\\", "%_%", "$1", '$."a"',
    "[0]", "{}", "null", "true", "-1", "1e999", "9" * 400, "9223372036854775808", "٣", "½", "İ",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999+23:59", "-1s", "999999999999s", "../../x",
    "tr-" + "0" * 32, "====",
]  # fmt: skip
WRONG = [
    "null", "true", "[]", "{}", '["a"]', '{"a":"b"}', "0", "-1", "1.5", "-0.0", "1e308", "1e999", "-1e400", "NaN",
    "-Infinity", "9" * 400, "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "18446744073709551616", "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, "[" * 20_000,
    '{"a":1,"a":2}', '{"\\ud800":1}', '{"\\u0000":"\\u0000"}', '[["\\ud800"]]', '{"a":{"b":"\\udfff"}}',
    '"\\ud800"', '"\\u0000"', '"a"', "", "}", "tru",
]  # fmt: skip
# What some fields hold: with odd text in it, they still get beyond the first check.
SHAPES: dict[str, Sequence[str]] = {
    "filter": (
        "tag.`{}` = 'x'", "tag.k = '{}'", "name LIKE '%{}%'", "span.attributes.`{}` = 'x'", "feedback.`{}` = 'x'",
        "metadata.`{}` IS NULL", "trace.text LIKE '{}'", "timestamp_ms > {}", "params.`{}` = '{}'",
        "metrics.`{}` > 1", "tag.k RLIKE '{}'", "request_id IN ('{}')", "attributes.run_name = '{}'",
        "dataset.name = '{}'", "name = '{}'", "creation_time > {}",
    ),
    "filter_string": ("name = '{}'", "tags.`{}` = 'x'", "created_time > {}", "name ILIKE '%{}'"),
    "order_by": ("tag.`{}` DESC", "metadata.`{}`", "metrics.`{}`", "params.`{}` ASC", "{} DESC", "name"),
    "page_token": ("", "b64:{}", 'b64:{"time":1,"trace_id":"{}"}', 'b64:{"offset":{}}', "b64:{}:x", "b64:1:{}"),
    "update_mask": ("assessmentName", "feedback,rationale,metadata", "assessmentName,{}", "feedback"),
    "source_type": ("HUMAN", "LLM_JUDGE", "CODE"),
    "request_time": ("2026-01-31T10:00:00.250Z",),
    "create_time": ("2026-01-31T10:00:00.250Z",),
    "execution_duration": ("1.5s",),
    "type": ("MLFLOW_EXPERIMENT",),
    "serialization_format": ("JSON_FORMAT",),
    "span_id": ("0123456789abcdef",),
}  # fmt: skip
# Fields that are there though they needn't be, and those of which one excludes the others.
USUAL = {
    "messages", "message", "experiment_id", "trace_location", "mlflow_experiment", "source", "source_type", "run_id",
    "feedback", "expectation", "trace_id", "filter", "filter_string",
}  # fmt: skip
EITHER = (("messages", "message"), ("feedback", "expectation"), ("trace_ids", "request_ids", "max_timestamp_millis"))
