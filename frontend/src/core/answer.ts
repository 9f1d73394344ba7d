/**
 * One answer from its question to its end, over as many connections as it takes.
 * A connection that breaks off is taken up again after the last event that came, with a growing pause between tries.
 */

import { ChatError, unreachable } from "./errors.js";
import type { StreamEvent } from "./events.js";
import type { Connection } from "./http.js";
import type { ChatBody, StreamRef, Transport } from "./transport.js";

/** `restart`: all that came so far will come again, from the beginning. */
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

/** Yield all events of one answer, each once. Throws a ChatError where there is no end to be had. */
export async function* answer(options: AnswerOptions): AsyncGenerator<AnswerEvent[]> {
  const { transport, to, body, token, signal, retries = 8 } = options;
  let { stream } = options;
  let after = 0; // the last event that came
  let failures = 0; // connections since then that brought nothing new
  let rewound = false;

  for (;;) {
    const before = after;
    try {
      const end = yield* connection();
      if (end === "complete") return;
      if (!stream) throw new ChatError("The answer broke off before it began.", "offline", true);
      // The stream is over, and shorter than what came: the server was killed before it had stored the rest.
      const shorter = after === before && (failures > 0 || !body);
      if (end === "killed" || (shorter && !rewound && after)) {
        rewound ||= shorter;
        after = 0;
        yield [{ type: "restart" }];
        continue;
      }
      if (shorter) throw new ChatError("The answer broke off.", "interrupted", true);
    } catch (thrown) {
      const error = unreachable(thrown);
      const passes = stream && error instanceof ChatError && error.retryable && !signal.aborted;
      if (!passes || failures >= retries) throw error;
    }
    failures += 1;
    yield [{ type: "reconnecting", attempt: failures }];
    await pause(Math.min(250 * 2 ** failures, 8000) * (0.75 + Math.random() / 2), signal);
  }

  /**
   * Yield what one more connection brings after the last event. Returns how the answer ended, if it did: `killed` is
   * the server in the middle of it.
   */
  async function* connection(): AsyncGenerator<AnswerEvent[], "complete" | "killed" | void> {
    const resumed = after > 0;
    const source = stream ? transport.resume(to, stream, after, signal) : transport.open(to, body ?? {}, token, signal);
    for await (const batch of source) {
      const events = batch.filter((event) => event.seq > after);
      const last = events.at(-1);
      if (!last) continue;
      after = last.seq;
      failures = 0;
      for (const event of events)
        if (event.type === "start") stream = { traceId: event.trace_id, token: event.feedback_token ?? stream?.token };
      // More may have come than the server had stored when it was killed: what is rated is the record.
      if (resumed && last.type === "error" && last.code === "server_shutdown") return "killed";
      yield events;
      if (last.type === "done" || last.type === "error") return "complete";
    }
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
