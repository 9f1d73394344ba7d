/**
 * How a chat gets its events: one interface, two ways (here server-sent events over fetch; websocket.ts the other).
 * A transport makes one attempt; answer.ts decides about the next.
 */

import type { StreamEvent } from "./events.js";
import { request, type Connection } from "./http.js";
import { sseParser } from "./sse.js";

export interface ChatBody {
  message?: string;
  messages?: { role: string; content: unknown }[];
  model?: string | undefined;
  session_id?: string | undefined;
  user_id?: string | undefined;
  [parameter: string]: unknown;
}

/** One stream: its trace, and the feedback token that opens it. */
export interface StreamRef {
  traceId: string;
  token?: string | undefined;
}

export interface Transport {
  /** Ask. `token`: one of an earlier answer, so that the rater stays the same. */
  open(to: Connection, body: ChatBody, token: string | undefined, signal: AbortSignal): AsyncIterable<StreamEvent[]>;
  /** Go on after event `after`. Ends without any event where there is nothing to resume. */
  resume(to: Connection, stream: StreamRef, after: number, signal: AbortSignal): AsyncIterable<StreamEvent[]>;
  stop(to: Connection, stream: StreamRef): Promise<void>;
}

export const sseTransport: Transport = {
  async *open(to, body, token, signal) {
    yield* read(await request(to, "/chat/stream", { method: "POST", body, token, both: true, signal }));
  },
  async *resume(to, { traceId, token }, after, signal) {
    const headers = { "Last-Event-ID": String(after) };
    yield* read(await request(to, `/chat/stream/${traceId}`, { token, headers, signal }));
  },
  async stop(to, { traceId, token }) {
    await request(to, `/chat/stream/${traceId}/stop`, { method: "POST", token });
  },
};

/** The gateway sends a heartbeat every ten seconds unless told otherwise: this much silence is a dead connection. */
const SILENCE_MS = 45_000;

async function* read(response: Response): AsyncGenerator<StreamEvent[]> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const parse = sseParser();
  const leave = () => void reader.cancel().catch(() => {});
  try {
    for (;;) {
      const timer = setTimeout(leave, SILENCE_MS);
      const { done, value } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      const events = parse(value);
      if (events.length) yield events;
    }
  } finally {
    leave();
  }
}
