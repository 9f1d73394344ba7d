/**
 * What a gateway's answer is made of, as it comes over the wire: `/chat/stream` or `/chat/ws`. The types are the
 * OpenAPI document's, by api.ts. Every answer ends in exactly one `done` or `error`.
 */

import type * as api from "./api.js";

export type { Timing, Turn, Usage } from "./api.js";

export type ServerEvent = api.StreamEvent;

/** `seq` is the event's id: what a resume goes on after. */
export type StreamEvent = ServerEvent & { seq: number };

/** One rating as the gateway gives it back; a page may show one of its own with less. */
export type FeedbackItem = Pick<api.FeedbackItem, "name"> & { value: unknown } & Partial<Omit<api.FeedbackItem, "name" | "value">>;
