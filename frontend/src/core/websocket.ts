/**
 * The same answers over `/chat/ws`: several at once on one socket, which opens with the first and closes after the last.
 * For networks that hold server-sent events back. With a key, a single-use ticket opens the socket, for one rater:
 * chats of different raters then have sockets of their own.
 */

import type { TicketReply } from "./api.js";
import { ChatError } from "./errors.js";
import type { StreamEvent } from "./events.js";
import { request, type Connection } from "./http.js";
import { sseTransport, type Transport } from "./transport.js";

type Frame = StreamEvent & { id?: string };
/** Take a chat's next frame; null: the socket is closed. */
type Take = (frame: Frame | null) => void;

/** A socket, and the chats on it by their ids. */
interface Line {
  socket: Promise<WebSocket>;
  chats: Map<string, Take>;
}

export function webSocketTransport(): Transport {
  const lines = new Map<string, Line>();
  let count = 0;

  /** Return the open line of this rater, or a new one. */
  function lineOf(to: Connection, token: string | undefined): Line {
    const rater = (to.apiKey && token) || "";
    const known = lines.get(rater);
    if (known) return known;
    const chats: Line["chats"] = new Map();
    const forget = () => {
      if (lines.get(rater) === line) lines.delete(rater);
      for (const take of chats.values()) take(null);
    };
    const line = { chats, socket: connect(to, token, chats, forget) };
    line.socket.catch(forget);
    lines.set(rater, line);
    return line;
  }

  async function* converse(
    to: Connection,
    token: string | undefined,
    frame: object,
    signal: AbortSignal,
  ): AsyncGenerator<StreamEvent[]> {
    const id = `c${++count}`;
    const { socket, chats } = lineOf(to, token);
    let events: StreamEvent[] = [];
    let ended = false;
    let wake = () => {};
    const end = () => {
      ended = true;
      wake();
    };
    chats.set(id, (frame) => {
      if (frame) events.push(frame);
      ended ||= !frame || frame.type === "done" || frame.type === "error";
      wake();
    });
    signal.addEventListener("abort", end);
    try {
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
      chats.delete(id);
      if (!chats.size) {
        // A socket that somebody left in the middle of an answer closes, so that the gateway knows.
        for (const [rater, line] of lines) if (line.chats === chats) lines.delete(rater);
        void socket.then((each) => each.close()).catch(() => {});
      }
    }
  }

  return {
    open: (to, body, token, signal) => converse(to, token, { type: "chat", ...body }, signal),
    resume: (to, { traceId, token }, after, signal) =>
      converse(to, token, { type: "resume", trace_id: traceId, after, feedback_token: token }, signal),
    stop: sseTransport.stop,
  };
}

/** Open a socket as the rater of `token`, whose frames go to `chats`. Calls `closed` once it is over. */
async function connect(
  to: Connection,
  token: string | undefined,
  chats: ReadonlyMap<string, Take>,
  closed: () => void,
): Promise<WebSocket> {
  const base = new URL((to.api ?? "").replace(/\/?$/, "/"), globalThis.location?.href);
  const url = new URL("chat/ws", base);
  url.protocol = url.protocol.replace("http", "ws");
  if (to.apiKey) {
    const body = to.userId === undefined ? undefined : { user_id: to.userId };
    const reply = await request(to, "/chat/ws-ticket", { method: "POST", body, token, both: true });
    url.searchParams.set("ticket", ((await reply.json()) as TicketReply).ticket);
  }
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data)) as Frame;
    chats.get(frame.id ?? "")?.(frame);
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onclose = ({ code, reason }) => {
      closed();
      reject(new ChatError(reason || "The server can't be reached.", `closed_${code}`, code !== 1008));
    };
  });
  return socket;
}
