/**
 * The gateway's events and replies, from its OpenAPI document: `npm run api` writes this file again. It has types only,
 * which the core's other files read; nothing here runs.
 */

/** What a front end needs to know. `default_model` answers where a chat names none; empty: none does. */
export type ConfigReply = {
  /** The models. */
  models: string[];
  /** The model that answers where a chat names none. */
  default_model: string;
  /** What /detailed-feedback takes, by name. */
  dimensions: Record<string, DimensionReply>;
  /** Whether this caller has to send a key. */
  key_required: boolean;
  /** The gateway's release. */
  version: string;
};

/** What else the provider said, with its own fields: `audio`, `images`, `annotations`, `reasoning_details`, any. */
export type DeltaEvent = {
  /** What it is. */
  type: "delta";
  /** Fields of the provider's delta, as they came. Those of one answer belong together. */
  delta: Record<string, unknown>;
};

/** A scale of whole numbers from `min` to `max`, or a choice of `options`. */
export type DimensionReply = {
  /** The lowest score. */
  min?: number | null;
  /** The best score. */
  max?: number | null;
  /** What can be chosen. */
  options?: string[] | null;
};

/** The last event of an answer that ended well, was stopped, or whose reader had left. */
export type DoneEvent = {
  /** What it is. */
  type: "done";
  /** The trace's ID: `tr-` and 32 hex digits. */
  trace_id: string;
  /** Why the answer ended: the provider's word, or `stopped` or `disconnected`. */
  finish_reason: string;
  /** Tokens as the provider counts them; null where it doesn't say. */
  usage: Usage | null;
  /** How long it took. */
  timing: Timing;
  /** What a browser rates, resumes and stops this answer with. */
  feedback_token: string;
};

/** The last event of an answer that failed. What there was of it is kept, and can be rated. */
export type ErrorEvent = {
  /** What it is. */
  type: "error";
  /** Short text for people. */
  error: string;
  /** A stable word for the error: an ErrorCode. */
  code: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** The trace's ID: `tr-` and 32 hex digits. */
  trace_id: string;
};

/** One valid rating of this rater's. */
export type FeedbackItem = {
  /** The rating's ID. */
  assessment_id: string;
  /** The name of the rating or of the span. */
  name: string;
  /** The rating: up to 10 kB. */
  value: boolean | number | string | string[];
  /** Why, in words, up to 10,000 characters. */
  rationale: string | null;
  /** Pairs of strings that are kept with it. */
  metadata: Record<string, string>;
};

/** This rater's valid ratings of a trace, oldest first. */
export type FeedbackList = {
  /** The trace's ID: `tr-` and 32 hex digits. */
  trace_id: string;
  /** This rater's valid ratings. */
  feedback: FeedbackItem[];
};

/** How an answer ended. A trace gets exactly one of them. */
export type Outcome = "complete" | "disconnected" | "drained" | "interrupted" | "stopped" | "timeout" | "too_long" | "upstream_error";

/** A piece of the model's reasoning. */
export type ReasoningEvent = {
  /** What it is. */
  type: "reasoning";
  /** Text. */
  content: string;
};

/** The turns of a conversation, oldest first. */
export type SessionReply = {
  /** The conversation's ID. With `message` the stored turns come first. */
  session_id: string;
  /** Questions and answers, oldest first. */
  turns: Turn[];
};

/** The first event of each stream. It follows the commit of the trace. */
export type StartEvent = {
  /** What it is. */
  type: "start";
  /** The trace's ID: `tr-` and 32 hex digits. */
  trace_id: string;
  /** The conversation's ID. With `message` the stored turns come first. */
  session_id: string;
  /** The model's name. Without one, `default` answers, else the first that is declared. */
  model: string;
  /** What a browser rates, resumes and stops this answer with. */
  feedback_token: string;
};

/** The state of a trace: it is running, or it ended well or badly. */
export type State = "ERROR" | "IN_PROGRESS" | "OK";

/** One event of a native stream. Clients should ignore a `type` that they don't know. */
export type StreamEvent = StartEvent | TokenEvent | ReasoningEvent | ToolCallEvent | DeltaEvent | DoneEvent | ErrorEvent;

/** Its reply: connect to /chat/ws?ticket=… within so many seconds. */
export type TicketReply = {
  /** Opens one WebSocket. */
  ticket: string;
  /** Seconds. */
  expires_in_s: number;
};

/** How long an answer took. */
export type Timing = {
  /** From the request to the first token, in milliseconds. */
  first_token_ms: number | null;
  /** From the request to the end, in milliseconds. */
  total_ms: number;
};

/** A piece of the answer's text. Pieces that arrive together, or pile up for a slow reader, come as one. */
export type TokenEvent = {
  /** What it is. */
  type: "token";
  /** Text. */
  content: string;
};

/** A piece of a tool call, as OpenAI's `delta.tool_calls` has it: the first of a call has its `id` and its name. */
export type ToolCallEvent = {
  /** What it is. */
  type: "tool_call";
  /** A piece of a tool call, as OpenAI's `delta.tool_calls` has it. */
  tool_call: Record<string, unknown>;
};

/** One question and its answer. `outcome` null: it is being answered now. */
export type Turn = {
  /** The trace's ID: `tr-` and 32 hex digits. */
  trace_id: string;
  /** The model's name. Without one, `default` answers, else the first that is declared. */
  model: string;
  /** Milliseconds UTC. */
  time: number;
  /** Whether the answer runs, ended well or failed. */
  state: State;
  /** How the answer ended. */
  outcome: Outcome | null;
  /** The question. */
  message: unknown;
  /** The answer's text. */
  response: string | null;
  /** Short text for people. */
  error: string | null;
  /** What a browser rates, resumes and stops this answer with. */
  feedback_token: string;
  /** This rater's valid ratings. */
  feedback: FeedbackItem[];
};

/** The numbers of tokens, as the provider counts them. The details are parts of the first two numbers, by name. */
export type Usage = {
  /** Tokens of the question. */
  prompt_tokens: number;
  /** Tokens of the answer. */
  completion_tokens: number;
  /** Both together. */
  total_tokens: number;
  /** Which of them were what, by the provider's names, such as `cached_tokens`. */
  prompt_tokens_details: Record<string, number>;
  /** Which of them were what, by the provider's names, such as `reasoning_tokens`. */
  completion_tokens_details: Record<string, number>;
};
