/**
 * What a gateway's answer is made of, as it comes over the wire: `/chat/stream` or `/chat/ws`.
 * Every answer ends in exactly one `done` or `error`. `seq` is the event's id: what a resume goes on after.
 */

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export interface Timing {
  first_token_ms: number | null;
  total_ms: number;
}

export type ServerEvent =
  | { type: "start"; trace_id: string; session_id: string; model: string; feedback_token?: string }
  | { type: "token"; content: string }
  | { type: "reasoning"; content: string }
  | { type: "tool_call"; tool_call: unknown }
  | {
      type: "done";
      trace_id: string;
      finish_reason: string;
      usage: Usage | null;
      timing: Timing;
      feedback_token?: string;
    }
  | { type: "error"; error: string; code: string; retryable: boolean; trace_id?: string };

export type StreamEvent = ServerEvent & { seq: number };

/** One rating as the gateway gives it back. */
export interface FeedbackItem {
  assessment_id?: string;
  name: string;
  value: unknown;
  rationale?: string | null;
  metadata?: Record<string, string>;
}

/** One turn of `GET /sessions/{id}`. `outcome` null: it is being answered right now. */
export interface Turn {
  trace_id: string;
  model: string;
  state: string;
  outcome: string | null;
  message: unknown;
  response: string | null;
  error: string | null;
  feedback: FeedbackItem[];
  feedback_token?: string;
}
