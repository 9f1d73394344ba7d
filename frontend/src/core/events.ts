/**
 * The events of an answer, as they come over `/chat/stream` or `/chat/ws`, and the stored turns and ratings. The types
 * are the OpenAPI document's, by api.ts. Every answer ends in exactly one `done` or `error`.
 */

import type * as api from "./api.js";

export type { Timing, Turn, Usage } from "./api.js";

export type ServerEvent = api.StreamEvent;

/** An event with its id: a resume goes on after a `seq`. */
export type StreamEvent = ServerEvent & { seq: number };

/** One rating as the gateway gives it back; a page may show one of its own with less. */
export type FeedbackItem = Pick<api.FeedbackItem, "name"> & { value: unknown } & Partial<Omit<api.FeedbackItem, "name" | "value">>;
