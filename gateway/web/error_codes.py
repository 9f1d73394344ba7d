"""Every error code of the native routes, events and frames, with its HTTP status and what it means.

Codes are stable; the text beside one is for people and may change. A test compares this table with the code. /v1 and
/api/… have the same errors in their own shapes, and /v1 keeps a provider's own codes.
"""

from __future__ import annotations

ERROR_CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request isn't what HTTP or its content type says."),
    "not_json": (400, "The body or frame isn't JSON, or isn't UTF-8."),
    "unauthorized": (401, "A key is needed, or the ticket isn't valid."),
    "invalid_api_key": (401, "The key is unknown, was revoked, or isn't one."),
    "invalid_feedback_token": (401, "The feedback token wasn't made here, or the key behind it has ended."),
    "feedback_token_expired": (401, "The feedback token's time is over."),
    "invalid_user_assertion": (401, "The user assertion isn't signed with the configured key, or has expired."),
    "invalid_invite": (401, "The invitation is unknown, or was revoked."),
    "invite_expired": (401, "The invitation's time is over."),
    "signed_out": (401, "The cookie is of no sign-in that lasts: sign in again."),
    "forbidden": (403, "The credential is good, and not for this route, trace or name."),
    "no_role": (403, "The proxy vouches for a person whom `[auth.people]` gives no role."),
    "origin_not_allowed": (403, "The key doesn't serve this page's origin, or a foreign page asked without a key."),
    "not_found": (404, "There is no such trace, session, chat or file in this project."),
    "unknown_path": (404, "There is no such path."),
    "model_not_found": (404, "The model isn't declared."),
    "nothing_to_resume": (404, "The frame's stream has no more events, or its time is over."),
    "unknown_chat": (404, "No chat of that id runs on this socket."),
    "method_not_allowed": (405, "The path takes other methods: `Allow` names them."),
    "request_timeout": (408, "The request's head or body took too long."),
    "conflict": (409, "The request contradicts what is there."),
    "duplicate_id": (409, "A chat of that id runs on this socket already."),
    "too_many_chats": (409, "Too many chats run on this socket."),
    "too_large": (413, "The body, the head or the rating is too large."),
    "unsupported_type": (415, "The body must be sent as `application/json`, and packed by gzip or deflate if at all."),
    "invalid_value": (422, "A value can't be taken: `details` names each bad field."),
    "content_not_stored": (422, "The conversation can't be continued, since its content isn't stored."),
    "format_not_installed": (422, "The format is written by a package that isn't installed here: it is an extra."),
    "idempotency_key_reused": (422, "The Idempotency-Key came before, with another body."),
    "search_too_slow": (422, "The search takes too long and has to be narrowed."),
    "rate_limited": (429, "Too many requests: `Retry-After` says when to try again."),
    "too_many_streams": (429, "The caller has as many open streams as it may."),
    "too_many_ratings": (429, "The token's trace was rated too often."),
    "upstream_rate_limited": (429, "The provider has too many requests."),
    "upstream_quota_exceeded": (429, "The provider's quota for this gateway is used up: waiting doesn't help."),
    "internal_error": (500, "The gateway is at fault; its log says more."),
    "upstream_error": (502, "The provider failed, or couldn't be reached."),
    "upstream_refused": (502, "The provider refused the request: the status is its own, 400, 402, 404, 413 or 422."),
    "answer_too_long": (502, "The answer is longer than `max_answer_bytes`."),
    "server_shutdown": (503, "The server is shutting down."),
    "too_busy": (503, "The server has as many connections, streams or bodies as it may."),
    "store_unavailable": (503, "The store can't take it: nothing was recorded."),
    "upstream_unavailable": (503, "The provider isn't available, and says in `Retry-After` when to come again."),
    "upstream_timeout": (504, "The provider took too long."),
}
