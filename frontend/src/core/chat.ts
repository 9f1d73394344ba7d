/**
 * One conversation: a store without a framework. React's hook is a thin shell over it.
 * Nothing happens when it is made, so that a server can render with it; its functions never change.
 */

import type { SessionReply } from "./api.js";
import { answer, type AnswerEvent, type AnswerOptions } from "./answer.js";
import { ChatError } from "./errors.js";
import { frameQueue } from "./frames.js";
import { request, type Connection } from "./http.js";
import { fromTurns, newMessage, reduce, toModel, type ChatMessage } from "./messages.js";
import { createStore } from "./store.js";
import { sseTransport, type ChatBody, type Transport } from "./transport.js";

export interface ChatOptions extends Connection {
  /** A model the gateway declares; its default otherwise. */
  model?: string | undefined;
  /** A conversation to go on with. `restore` shows what was said in it. */
  sessionId?: string | undefined;
  /** A feedback token of this conversation, kept from before: it keeps the rater, and opens the session. */
  token?: string | undefined;
  /** Traces whose answers were regenerated, kept from before. */
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
  /** The newest answer's trace. */
  readonly traceId: string | null;
  readonly sessionId: string | null;
  /** The number of this try to get the stream back; 0: connected. */
  readonly reconnecting: number;
  readonly replaced: readonly string[];
}

export interface Chat {
  getState(): ChatState;
  subscribe(listener: () => void): () => void;
  configure(options: ChatOptions): void;
  /** Ask. Settles when the answer has ended, whichever way; it does not throw. */
  sendMessage(text: string, parameters?: Record<string, unknown>): Promise<void>;
  /** Stop the running answer. Its text so far stays, and can be rated. */
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

/** Make a chat. `configure` takes other options later; they count from the next request on. */
export function createChat(initial: ChatOptions = {}): Chat {
  let options = initial;
  let running: AbortController | null = null; // reads an answer, or restores the conversation
  let stopping = false; // the user has asked for it
  const { getState, setState, subscribe } = createStore<ChatState>({
    messages: [],
    status: "ready",
    error: null,
    traceId: null,
    sessionId: initial.sessionId ?? null,
    reconnecting: 0,
    replaced: initial.replaced ?? [],
  });

  const set = (change: Partial<ChatState>) => setState({ ...getState(), ...change });
  const last = () => getState().messages.at(-1);
  const setLast = (message: ChatMessage, change: Partial<ChatState>) =>
    set({ messages: [...getState().messages.slice(0, -1), message], ...change });
  const newestToken = () => getState().messages.findLast((m) => m.feedbackToken)?.feedbackToken ?? options.token;

  /** Read one answer into the last message, to its end. */
  async function follow(what: Pick<AnswerOptions, "body" | "stream">): Promise<void> {
    const mine = (running = new AbortController());
    const { signal } = mine;
    const { transport = sseTransport, retries } = options;
    const queue = frameQueue<AnswerEvent>((events) => {
      const message = last();
      if (running !== mine || !message) return;
      const next = events.reduce(reduce, message);
      setLast(next, { status: next.status === "waiting" ? "submitted" : "streaming" });
    });
    let change: Partial<ChatMessage> = {};
    let error: ChatError | null = null;
    stopping = false;
    try {
      const batches = answer({ transport, to: options, token: newestToken(), signal, retries, ...what });
      for await (const batch of batches) {
        if (running !== mine) return;
        queue.push(batch);
        for (const event of batch) error = note(event);
      }
    } catch (thrown) {
      if (signal.aborted) change = { status: stopping ? "stopped" : "interrupted" };
      else {
        error = asChatError(thrown, "The answer could not be read.", "bad_stream");
        const began = getState().traceId || error.code === "interrupted";
        change = { status: began ? "interrupted" : "failed", error: error.message };
      }
    }
    queue.flush();
    if (running !== mine) return;
    running = null;
    const message = last();
    if (message) setLast({ ...message, ...change }, { status: error ? "error" : "ready", error, reconnecting: 0 });
  }

  /** Apply an event to the chat as a whole, at once; the message waits for the next frame. Returns the event's error. */
  function note(event: AnswerEvent): ChatError | null {
    const reconnecting = event.type === "reconnecting" ? event.attempt : 0;
    if (reconnecting !== getState().reconnecting) set({ reconnecting });
    if (event.type === "start") {
      set({ traceId: event.trace_id, sessionId: event.session_id });
      if (stopping) void halt(event.trace_id, event.feedback_token);
    }
    return event.type === "error" ? new ChatError(event.error, event.code, event.retryable) : null;
  }

  async function ask(kept: readonly ChatMessage[], body: ChatBody): Promise<void> {
    set({ messages: [...kept, newMessage("assistant", "", "waiting")], status: "submitted", error: null, traceId: null });
    const { model, userId: user_id } = options;
    await follow({ body: { ...options.body, ...body, model, session_id: getState().sessionId ?? undefined, user_id } });
  }

  async function halt(traceId: string, token: string | undefined): Promise<void> {
    const controller = running;
    try {
      await (options.transport ?? sseTransport).stop(options, { traceId, token });
    } catch {
      controller?.abort(); // the gateway ends an answer that nobody reads
    }
  }

  async function resume(): Promise<void> {
    const message = last();
    if (running || !message?.traceId) return;
    setLast(reduce(message, { type: "restart" }), { status: "submitted", error: null });
    await follow({ stream: { traceId: message.traceId, token: message.feedbackToken } });
  }

  return {
    getState,
    subscribe,
    configure(next) {
      options = next;
    },
    async sendMessage(text, parameters) {
      if (running || !text.trim()) return;
      const { messages, replaced } = getState();
      const kept = [...messages, newMessage("user", text, "done")];
      // The gateway knows the conversation, unless an answer in it was replaced.
      await ask(kept, { ...parameters, ...(replaced.length ? { messages: toModel(kept) } : { message: text }) });
    },
    async stop() {
      if (!running) return;
      stopping = true;
      const { traceId } = getState();
      if (traceId) await halt(traceId, last()?.feedbackToken);
    },
    async regenerate() {
      const { messages, replaced } = getState();
      const at = messages.findLastIndex((message) => message.role === "user");
      if (running || at < 0) return;
      const kept = messages.slice(0, at + 1);
      const gone = messages.slice(at + 1).flatMap((message) => message.traceId ?? []);
      set({ replaced: [...replaced, ...gone] });
      await ask(kept, { messages: toModel(kept) });
    },
    resume,
    async restore() {
      const { sessionId, replaced } = getState();
      if (running || !sessionId) return;
      const mine = (running = new AbortController());
      try {
        const path = `/sessions/${encodeURIComponent(sessionId)}`;
        const query = { user_id: options.userId };
        const response = await request(options, path, { query, token: newestToken(), both: true, signal: mine.signal });
        const { turns } = (await response.json()) as SessionReply;
        if (running !== mine) return;
        running = null;
        set({ messages: fromTurns(turns, replaced), traceId: turns.at(-1)?.trace_id ?? null, status: "ready", error: null });
        if (last()?.status === "waiting") await resume();
      } catch (thrown) {
        if (running !== mine) return;
        running = null;
        const error = asChatError(thrown, "The conversation could not be read.", "bad_reply");
        if (!mine.signal.aborted) set({ status: "error", error });
      }
    },
    clearError() {
      const { error, status } = getState();
      if (error) set({ error: null, status: running ? status : "ready" });
    },
    dispose() {
      running?.abort();
      running = null;
      const message = last();
      const { status } = getState();
      if (message && (status === "submitted" || status === "streaming"))
        setLast({ ...message, status: "interrupted" }, { status: "ready" });
    },
  };
}

/** Return the thrown error as a ChatError; another kind of error was not expected, and gets `message` and `code`. */
function asChatError(thrown: unknown, message: string, code: string): ChatError {
  return thrown instanceof ChatError ? thrown : new ChatError(message, code);
}
