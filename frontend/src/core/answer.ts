/**
 * One answer from its question to its end, over as many connections as it takes.
 * A connection that breaks off is taken up again after the last event that came, with a growing pause between tries.
 */

import { ChatError, unreachable } from "./errors.js";
import type { StreamEvent } from "./events.js";
import type { Connection } from "./http.js";
import type { ChatBody, StreamRef, Transport } from "./transport.js";

/** `restart`: what was said so far will be said again, from the beginning. */
export type AnswerEvent = StreamEvent | { type: "restart" } | { type: "reconnecting"; attempt: number };

export interface AnswerOptions {
  transport: Transport;
  to: Connection;
  /** The question; or, where `stream` alone is given, a running answer is taken up. */
  body?: ChatBody;
  stream?: StreamRef;
  /** Of an earlier answer. */
  token?: string | undefined;
  signal: AbortSignal;
  /** Tries without any news before it gives up. */
  retries?: number | undefined;
}

/** All events of one answer; throws a ChatError where there is no end to be had. Every event comes once. */
export async function* answer(options: AnswerOptions): AsyncGenerator<AnswerEvent[]> {
  const { transport, to, body, token, signal, retries = 8 } = options;
  let stream = options.stream;
  let after = 0;
  let replayed = false;
  let attempt = 0;
  connections: for (;;) {
    const had = after;
    let news = false;
    try {
      const source = stream
        ? transport.resume(to, stream, after, signal)
        : transport.open(to, body ?? {}, token, signal);
      for await (const batch of source) {
        const events = batch.filter((event) => event.seq > after);
        if (!events.length) continue;
        news = true;
        attempt = 0;
        for (const event of events) {
          after = event.seq;
          if (event.type === "start") stream = { traceId: event.trace_id, token: event.feedback_token ?? stream?.token };
        }
        const last = events.at(-1);
        if (had && last?.type === "error" && last.code === "server_shutdown") {
          // It was killed amid the answer, and more may have come than it had stored: what is rated is the record.
          after = 0;
          yield [{ type: "restart" }];
          continue connections;
        }
        yield events;
        if (last?.type === "done" || last?.type === "error") return;
      }
      if (!stream) throw new ChatError("The answer broke off before it began.", "offline", true);
      if (!news && (attempt > 0 || !body)) {
        // The stream is over, and shorter than what came: the server was killed before it had stored the rest.
        if (replayed || !after) throw new ChatError("The answer broke off.", "interrupted", true);
        replayed = true;
        after = 0;
        yield [{ type: "restart" }];
        continue;
      }
    } catch (thrown) {
      const error = unreachable(thrown);
      if (signal.aborted || !stream || !(error instanceof ChatError) || !error.retryable || attempt >= retries) throw error;
    }
    attempt += 1;
    yield [{ type: "reconnecting", attempt }];
    await pause(Math.min(250 * 2 ** attempt, 8000) * (0.75 + Math.random() / 2), signal);
  }
}

/** Wait; ends early when the network comes back. Throws when it is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", end);
      signal.removeEventListener("abort", end);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(end, ms);
    globalThis.addEventListener?.("online", end);
    signal.addEventListener("abort", end);
  });
}
