/**
 * The same answers over `/chat/ws`: several at once on one socket, which opens with the first and closes after the last.
 * For networks that hold server-sent events back. With a key, a single-use ticket opens the socket.
 */

import { ChatError } from "./errors.js";
import type { StreamEvent } from "./events.js";
import { request, type Connection } from "./http.js";
import { sseTransport, type Transport } from "./transport.js";

type Frame = StreamEvent & { id?: string };
type Take = (frame: Frame | null) => void;

export function webSocketTransport(): Transport {
  let socket: Promise<WebSocket> | null = null;
  const open = new Map<string, Take>();
  let count = 0;

  async function connect(to: Connection): Promise<WebSocket> {
    const base = new URL((to.api ?? "").replace(/\/?$/, "/"), globalThis.location?.href);
    const url = new URL("chat/ws", base);
    url.protocol = url.protocol.replace("http", "ws");
    if (to.apiKey) {
      const reply = await request(to, "/chat/ws-ticket", { method: "POST" });
      url.searchParams.set("ticket", ((await reply.json()) as { ticket: string }).ticket);
    }
    const fresh = new WebSocket(url);
    fresh.onmessage = ({ data }) => {
      const frame = JSON.parse(String(data)) as Frame;
      open.get(frame.id ?? "")?.(frame);
    };
    await new Promise((resolve, reject) => {
      fresh.onopen = resolve;
      fresh.onclose = ({ code, reason }) => {
        socket = null;
        for (const take of open.values()) take(null);
        reject(new ChatError(reason || "The server can't be reached.", `closed_${code}`, code !== 1008));
      };
    });
    return fresh;
  }

  async function* converse(to: Connection, frame: object, signal: AbortSignal): AsyncGenerator<StreamEvent[]> {
    const id = `c${++count}`;
    let events: StreamEvent[] = [];
    let ended = false;
    let wake = () => {};
    const end = () => {
      ended = true;
      wake();
    };
    open.set(id, (frame) => {
      if (frame) events.push(frame);
      ended ||= !frame || frame.type === "done" || frame.type === "error";
      wake();
    });
    signal.addEventListener("abort", end);
    try {
      socket ??= connect(to).catch((error: unknown) => {
        socket = null;
        throw error;
      });
      (await socket).send(JSON.stringify({ ...frame, id }));
      for (;;) {
        signal.throwIfAborted();
        if (events.length) {
          const batch = events;
          events = [];
          const refusal = batch.find((event) => event.type === "error" && !event.seq);
          // An error without a place in a stream refuses the request.
          if (refusal?.type === "error" && refusal.code === "nothing_to_resume") return;
          if (refusal?.type === "error") throw new ChatError(refusal.error, refusal.code, refusal.retryable, 400);
          yield batch;
        } else if (ended) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      signal.removeEventListener("abort", end);
      open.delete(id);
      const now = socket;
      // A socket that somebody left in the middle of an answer closes, so that the gateway knows.
      if (!open.size) void now?.then((each) => each.close()).catch(() => {});
      if (!open.size) socket = null;
    }
  }

  return {
    open: (to, body, _token, signal) => converse(to, { type: "chat", ...body }, signal),
    resume: (to, { traceId }, after, signal) => converse(to, { type: "resume", trace_id: traceId, after }, signal),
    stop: sseTransport.stop,
  };
}
