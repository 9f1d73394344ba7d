/** A conversation as a page shows it, and how each event changes it. Pure; chat.ts holds the state. */

import type { AnswerEvent } from "./answer.js";
import type { FeedbackItem, Timing, Turn, Usage } from "./events.js";

/**
 * `waiting` no word yet · `streaming` · `done` · `stopped` by the user · `interrupted` the server or the connection
 * went away · `failed` the provider did. Whatever is there in the last three stays, and can be rated.
 */
export type MessageStatus = "waiting" | "streaming" | "done" | "stopped" | "interrupted" | "failed";

export interface ChatMessage {
  /** Stable over the message's life; not the gateway's. */
  readonly id: string;
  readonly role: "user" | "assistant";
  readonly text: string;
  readonly status: MessageStatus;
  readonly reasoning?: string;
  readonly toolCalls?: readonly unknown[];
  readonly model?: string;
  readonly traceId?: string;
  readonly feedbackToken?: string;
  readonly usage?: Usage | null;
  readonly timing?: Timing;
  readonly finishReason?: string;
  readonly error?: string;
  /** This rater's ratings, as the gateway had them when the conversation was restored; none for a new answer. */
  readonly feedback?: readonly FeedbackItem[];
}

let count = 0;

export function newMessage(role: ChatMessage["role"], text: string, status: MessageStatus): ChatMessage {
  return { id: `m${++count}`, role, text, status };
}

/** Return the assistant's message after one more event. */
export function reduce(message: ChatMessage, event: AnswerEvent): ChatMessage {
  switch (event.type) {
    case "start":
      return {
        ...message,
        traceId: event.trace_id,
        model: event.model,
        feedback: message.feedback ?? [],
        ...token(event.feedback_token),
      };
    case "token":
      return { ...message, status: "streaming", text: message.text + event.content };
    case "reasoning":
      return { ...message, status: "streaming", reasoning: (message.reasoning ?? "") + event.content };
    case "tool_call":
      return { ...message, status: "streaming", toolCalls: [...(message.toolCalls ?? []), event.tool_call] };
    case "done":
      return {
        ...message,
        status: ended(event.finish_reason),
        finishReason: event.finish_reason,
        usage: event.usage,
        timing: event.timing,
        ...token(event.feedback_token),
      };
    case "error":
      return { ...message, status: event.code === "server_shutdown" ? "interrupted" : "failed", error: event.error };
    case "restart": {
      const { reasoning: _r, toolCalls: _t, ...rest } = message;
      return { ...rest, text: "", status: "waiting" };
    }
    default:
      return message;
  }
}

/** Return stored turns as messages. `replaced`: traces whose answers were regenerated. */
export function fromTurns(turns: readonly Turn[], replaced: readonly string[] = []): ChatMessage[] {
  return turns.flatMap((turn, index) => {
    const assistant: ChatMessage = {
      ...newMessage("assistant", turn.response ?? "", outcomes[turn.outcome ?? ""] ?? "failed"),
      traceId: turn.trace_id,
      model: turn.model,
      feedback: turn.feedback,
      ...token(turn.feedback_token),
      ...(turn.error && { error: turn.error }),
    };
    const hidden = replaced.includes(turn.trace_id);
    const asked = replaced.includes(turns[index - 1]?.trace_id ?? "");
    return [...(asked ? [] : [newMessage("user", plain(turn.message), "done")]), ...(hidden ? [] : [assistant])];
  });
}

/** Return the conversation as a model takes it: answered questions with their answers, then the last question. */
export function toModel(messages: readonly ChatMessage[]): { role: string; content: string }[] {
  return messages
    .filter(({ role, text }, index) => {
      const next = messages[index + 1];
      return role === "assistant" ? text : !next || next.text;
    })
    .map(({ role, text }) => ({ role, content: text }));
}

const outcomes: Record<string, MessageStatus> = {
  "": "waiting",
  complete: "done",
  drained: "done",
  stopped: "stopped",
  disconnected: "interrupted",
  interrupted: "interrupted",
};

function ended(reason: string): MessageStatus {
  if (reason === "stopped") return reason;
  return reason === "disconnected" ? "interrupted" : "done";
}

function token(value: string | undefined): { feedbackToken?: string } {
  return value ? { feedbackToken: value } : {};
}

function plain(content: unknown): string {
  if (typeof content === "string") return content;
  const parts = Array.isArray(content) ? (content as { text?: unknown }[]) : [];
  return parts.flatMap((part) => (typeof part?.text === "string" ? part.text : [])).join("\n");
}
