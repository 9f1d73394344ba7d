/**
 * One conversation: a store without a framework. React's hook is a thin shell over it.
 * Nothing happens when it is made, so that a server can render with it; its functions never change.
 */

import { answer, type AnswerEvent, type AnswerOptions } from "./answer.js";
import { ChatError } from "./errors.js";
import type { Turn } from "./events.js";
import { request, type Connection } from "./http.js";
import { fromTurns, newMessage, reduce, toModel, type ChatMessage } from "./messages.js";
import { sseTransport, type ChatBody, type Transport } from "./transport.js";

export interface ChatOptions extends Connection {
  /** A model the gateway declares; its default otherwise. */
  model?: string | undefined;
  /** A conversation to go on with. `restore` shows what was said in it. */
  sessionId?: string | undefined;
  /** A feedback token of this conversation's, kept from before: it keeps the rater, and opens the session. */
  token?: string | undefined;
  /** Traces that a regenerated answer took the place of, kept from before. */
  replaced?: readonly string[] | undefined;
  transport?: Transport | undefined;
  /** Further parameters of each request, such as `temperature` or `tags`. */
  body?: Record<string, unknown> | undefined;
  retries?: number | undefined;
}

export interface ChatState {
  readonly messages: readonly ChatMessage[];
  readonly status: "ready" | "submitted" | "streaming" | "error";
  readonly error: ChatError | null;
  /** Of the newest answer. */
  readonly traceId: string | null;
  readonly sessionId: string | null;
  /** Which try to get the stream back this is; 0: connected. */
  readonly reconnecting: number;
  readonly replaced: readonly string[];
}

export interface Chat {
  getState(): ChatState;
  subscribe(listener: () => void): () => void;
  configure(options: ChatOptions): void;
  /** Ask. Settles when the answer has ended, whichever way; it does not throw. */
  sendMessage(text: string, parameters?: Record<string, unknown>): Promise<void>;
  /** Stop the running answer. What there is stays, and can be rated. */
  stop(): Promise<void>;
  /** Ask the last question again, in place of its answer. */
  regenerate(): Promise<void>;
  /** Take up the newest answer where its connection was lost. */
  resume(): Promise<void>;
  /** Show what the gateway has of the session, and take up an answer that is still being given. */
  restore(): Promise<void>;
  clearError(): void;
  /** Let go of the running answer; the gateway ends it. The chat can be used again. */
  dispose(): void;
}

export function createChat(initial: ChatOptions = {}): Chat {
  let options = initial;
  let state: ChatState = {
    messages: [],
    status: "ready",
    error: null,
    traceId: null,
    sessionId: initial.sessionId ?? null,
    reconnecting: 0,
    replaced: initial.replaced ?? [],
  };
  const listeners = new Set<() => void>();
  let running: AbortController | null = null;
  let stopping = false;

  const set = (change: Partial<ChatState>) => {
    state = { ...state, ...change };
    for (const listener of listeners) listener();
  };
  const last = () => state.messages.at(-1);
  const newestToken = () => state.messages.findLast((m) => m.feedbackToken)?.feedbackToken ?? options.token;

  /** Read one answer into the last message. */
  async function follow(what: Pick<AnswerOptions, "body" | "stream">): Promise<void> {
    const controller = (running = new AbortController());
    const queue: AnswerEvent[] = [];
    let flushing = false;
    stopping = false;
    const flush = () => {
      flushing = false;
      const message = last();
      if (running !== controller || !message || !queue.length) return;
      const next = queue.splice(0).reduce(reduce, message);
      set({ messages: [...state.messages.slice(0, -1), next], status: next.status === "waiting" ? "submitted" : "streaming" });
    };
    const finish = (change: Partial<ChatMessage>, error: ChatError | null) => {
      flush();
      if (running !== controller) return;
      running = null;
      const message = last();
      set({
        messages: message ? [...state.messages.slice(0, -1), { ...message, ...change }] : [],
        status: error ? "error" : "ready",
        error,
        reconnecting: 0,
      });
    };
    try {
      const { transport = sseTransport, retries } = options;
      const events = answer({ transport, to: options, token: newestToken(), signal: controller.signal, retries, ...what });
      for await (const batch of events) {
        if (running !== controller) return;
        for (const event of batch) {
          if (event.type === "start") {
            set({ traceId: event.trace_id, sessionId: event.session_id });
            if (stopping) void halt(event.trace_id, event.feedback_token);
          } else if (event.type === "error") {
            queue.push(event);
            finish({}, new ChatError(event.error, event.code, event.retryable));
            return;
          }
          const reconnecting = event.type === "reconnecting" ? event.attempt : 0;
          if (reconnecting !== state.reconnecting) set({ reconnecting });
          queue.push(event);
        }
        if (!flushing) {
          flushing = true;
          nextFrame(flush);
        }
      }
      finish({}, null);
    } catch (thrown) {
      if (controller.signal.aborted) {
        finish({ status: stopping ? "stopped" : "interrupted" }, null);
        return;
      }
      const error = thrown instanceof ChatError ? thrown : new ChatError("The answer could not be read.", "bad_stream");
      const began = last()?.traceId || error.code === "interrupted";
      finish({ status: began ? "interrupted" : "failed", error: error.message }, error);
    }
  }

  async function ask(kept: readonly ChatMessage[], body: ChatBody): Promise<void> {
    set({ messages: [...kept, newMessage("assistant", "", "waiting")], status: "submitted", error: null, traceId: null });
    await follow({
      body: {
        ...options.body,
        ...body,
        model: options.model,
        session_id: state.sessionId ?? undefined,
        user_id: options.userId,
      },
    });
  }

  async function halt(traceId: string, token: string | undefined): Promise<void> {
    const controller = running;
    try {
      await (options.transport ?? sseTransport).stop(options, { traceId, token });
    } catch {
      controller?.abort(); // the gateway ends an answer that nobody reads
    }
  }

  return {
    getState: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    configure(next) {
      options = next;
    },
    async sendMessage(text, parameters) {
      if (running || !text.trim()) return;
      const kept = [...state.messages, newMessage("user", text, "done")];
      // The gateway knows the conversation, unless an answer in it was replaced.
      await ask(kept, { ...parameters, ...(state.replaced.length ? { messages: toModel(kept) } : { message: text }) });
    },
    async stop() {
      if (!running) return;
      stopping = true;
      const message = last();
      if (state.traceId) await halt(state.traceId, message?.feedbackToken);
    },
    async regenerate() {
      const at = state.messages.findLastIndex((message) => message.role === "user");
      if (running || at < 0) return;
      const kept = state.messages.slice(0, at + 1);
      const gone = state.messages.slice(at + 1).flatMap((message) => message.traceId ?? []);
      set({ replaced: [...state.replaced, ...gone] });
      await ask(kept, { messages: toModel(kept) });
    },
    async resume() {
      const message = last();
      if (running || !message?.traceId) return;
      set({ messages: [...state.messages.slice(0, -1), reduce(message, { type: "restart" })], status: "submitted", error: null });
      await follow({ stream: { traceId: message.traceId, token: message.feedbackToken } });
    },
    async restore() {
      const { sessionId, replaced } = state;
      if (running || !sessionId) return;
      const controller = (running = new AbortController());
      try {
        const path = `/sessions/${encodeURIComponent(sessionId)}`;
        const query = { user_id: options.userId };
        const { signal } = controller;
        const response = await request(options, path, { query, token: newestToken(), both: true, signal });
        const { turns } = (await response.json()) as { turns: Turn[] };
        if (running !== controller) return;
        running = null;
        set({ messages: fromTurns(turns, replaced), traceId: turns.at(-1)?.trace_id ?? null, status: "ready", error: null });
        if (last()?.status === "waiting") await this.resume();
      } catch (error) {
        if (running !== controller) return;
        running = null;
        const known = error instanceof ChatError ? error : new ChatError("The conversation could not be read.", "bad_reply");
        if (!controller.signal.aborted) set({ status: "error", error: known });
      }
    },
    clearError() {
      if (state.error) set({ error: null, status: running ? state.status : "ready" });
    },
    dispose() {
      const message = last();
      running?.abort();
      running = null;
      if (message && (state.status === "submitted" || state.status === "streaming"))
        set({ messages: [...state.messages.slice(0, -1), { ...message, status: "interrupted" }], status: "ready" });
    },
  };
}

/** At most once a frame; in a tab that isn't shown, which has no frames, ten times a second. */
function nextFrame(run: () => void): void {
  let due = true;
  const once = () => {
    if (due) run();
    due = false;
  };
  globalThis.requestAnimationFrame?.(once);
  setTimeout(once, 100);
}
