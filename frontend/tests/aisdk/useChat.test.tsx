/** The AI SDK's own hook, versions 6 and 7, unchanged, pointed at `/api/chat`. */

import { act, cleanup, renderHook, waitFor } from "../react.js";
import * as react6 from "ai-sdk-react-6";
import * as ai6 from "ai-6";
import * as react7 from "@ai-sdk/react";
import * as ai7 from "ai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createFeedback } from "../../src/index.js";
import { CONFIG, Gateway, until } from "../gateway.js";

const ORIGIN = "https://app.example";
let gateway: Gateway;
let guarded: Gateway;
let key: string;
beforeAll(async () => {
  [gateway, guarded] = await Promise.all([
    Gateway.start(),
    Gateway.start(`${CONFIG}\n[auth]\nrequire_keys = "always"\n`, (made) => {
      key = made.run("keys", "create", "--role", "chat", "--publishable", "--origins", ORIGIN).trim();
    }),
  ]);
});
afterAll(() => Promise.all([gateway?.close(), guarded?.close()]));
afterEach(cleanup);

interface Metadata {
  traceId?: string;
  feedbackToken?: string;
  usage?: { total_tokens: number };
}

let number = 0;

describe.each([
  ["6", react6 as unknown as typeof react7, ai6 as unknown as typeof ai7],
  ["7", react7, ai7],
])("ai %s", (_version, { useChat }, { DefaultChatTransport }) => {
  type Message = ai7.UIMessage<Metadata>;
  interface Options {
    id?: string;
    resume?: boolean;
    user?: string;
    at?: Gateway;
    headers?: () => Record<string, string>;
    messages?: Message[];
  }
  const open = (model: string, options: Options = {}) => {
    const { id = `chat-${++number}`, resume = false, user, at = gateway, headers, messages = [] } = options;
    const transport = new DefaultChatTransport<Message>({
      api: `${at.url}/api/chat`,
      body: { model, ...(user ? { user_id: user } : {}) },
      ...(headers && { headers }),
    });
    const { result, unmount } = renderHook(() => useChat<Message>({ id, transport, resume, messages }));
    return {
      id,
      unmount,
      get now() {
        return result.current;
      },
      get last() {
        return result.current.messages.at(-1)!;
      },
      get text() {
        const parts = this.last?.role === "assistant" ? this.last.parts : [];
        return parts.map((part) => (part.type === "text" ? part.text : "")).join("");
      },
    };
  };

  test("it streams, and the message carries its trace", async () => {
    const chat = open("unicode");
    await act(() => chat.now.sendMessage({ text: "hello" }));
    expect(chat.now).toMatchObject({ status: "ready", error: undefined });
    const { traceId, usage } = chat.last.metadata!;
    expect(chat.last).toMatchObject({ id: traceId, role: "assistant" });
    expect(chat.text).toBe(gateway.text(traceId!));
    expect(usage?.total_tokens).toBeGreaterThan(0);
    expect(await gateway.outcome(traceId!)).toBe("complete");
    expect(gateway.traces().find((trace) => trace.trace_id === traceId)?.session_id).toBe(chat.id);
  });

  test("a second question brings the first along, and the answer can be rated", async () => {
    const chat = open("default");
    await act(() => chat.now.sendMessage({ text: "one" }));
    await act(() => chat.now.sendMessage({ text: "two" }));
    expect(chat.now.messages.map(({ role }) => role)).toEqual(["user", "assistant", "user", "assistant"]);
    const traceId = chat.last.metadata!.traceId!;
    const feedback = createFeedback(traceId, { api: gateway.url, token: chat.last.metadata!.feedbackToken, initial: [] });
    feedback.rate(true);
    await until(() => expect(feedback.getState().state).toBe("saved"));
    expect(gateway.ratings(traceId)).toMatchObject([{ value: "true", valid: 1 }]);
  });

  test("its stop leaves a message with a trace; the gateway's stop ends the answer", async () => {
    const chat = open("slow");
    act(() => void chat.now.sendMessage({ text: "hello" }));
    await waitFor(() => expect(chat.text).not.toBe(""));
    const reply = await fetch(`${gateway.url}/api/chat/${chat.id}/stop`, { method: "POST" });
    const traceId = chat.last.metadata!.traceId!;
    expect(await reply.json()).toEqual({ status: "success", trace_id: traceId, outcome: "stopped" });
    await waitFor(() => expect(chat.now.status).toBe("ready"));
    expect(chat.now.error).toBeUndefined();
    expect(chat.text).toBe(gateway.text(traceId));
    const again = await fetch(`${gateway.url}/api/chat/${chat.id}/stop`, { method: "POST" });
    expect(await again.json()).toEqual({ status: "success", trace_id: null, outcome: null });
  });

  test("stop in the client alone is a client that left", async () => {
    const chat = open("slow");
    act(() => void chat.now.sendMessage({ text: "hello" }));
    await waitFor(() => expect(chat.text).not.toBe(""));
    await act(() => chat.now.stop());
    expect(await gateway.outcome(chat.last.metadata!.traceId!)).toBe("disconnected");
  });

  test("a page that comes back takes the running answer up from its beginning", async () => {
    const before = open("slow");
    act(() => void before.now.sendMessage({ text: "hello" }));
    await waitFor(() => expect(before.text.length).toBeGreaterThan(20));
    const said = before.text;
    before.unmount();
    const after = open("slow", { id: before.id, resume: true });
    await waitFor(() => expect(after.text.length).toBeGreaterThan(said.length));
    expect(after.text.startsWith(said)).toBe(true);
    expect(after.last.id).toBe(before.last.id);
    await fetch(`${gateway.url}/api/chat/${after.id}/stop`, { method: "POST" });
    await waitFor(() => expect(after.now.status).toBe("ready"));
  });

  test("nothing to resume stays quiet", async () => {
    const chat = open("default", { resume: true });
    await act(() => new Promise((done) => setTimeout(done, 50)));
    expect(chat.now).toMatchObject({ status: "ready", messages: [], error: undefined });
    expect((await fetch(`${gateway.url}/api/chat/${chat.id}/stream`)).status).toBe(204);
  });

  test("regenerate is another answer in its place", async () => {
    const chat = open("default");
    await act(() => chat.now.sendMessage({ text: "hello" }));
    const first = chat.last.metadata!.traceId;
    await act(() => chat.now.regenerate());
    expect(chat.now.messages).toHaveLength(2);
    expect(chat.last.metadata!.traceId).not.toBe(first);
  });

  test("a provider's failure, and a refusal, are short texts", async () => {
    const broken = open("broken");
    await act(() => broken.now.sendMessage({ text: "hello" }));
    expect(broken.now.status).toBe("error");
    expect(broken.now.error?.message).toMatch(/^[A-Z][^{}]+\.$/);
    const unknown = open("nonsense");
    await act(() => unknown.now.sendMessage({ text: "hello" }));
    expect(unknown.now.status).toBe("error");
    expect(`${unknown.now.error?.message}${(unknown.now.error as { responseBody?: string }).responseBody}`).toMatch(/nonsense|model/);
  });

  test("a second turn with a publishable key is the same rater's, by what the messages keep", async () => {
    const chat = open("default", { at: guarded, headers: () => ({ Authorization: `Bearer ${key}`, Origin: ORIGIN }) });
    await act(() => chat.now.sendMessage({ text: "one" }));
    await act(() => chat.now.sendMessage({ text: "two" }));
    expect(chat.now).toMatchObject({ status: "ready", error: undefined });
    expect(guarded.traces().filter((trace) => trace.session_id === chat.id)).toHaveLength(2);
  });

  test("with a publishable key a page that comes back resumes and stops, by the token of an earlier answer", async () => {
    const byKey = { Authorization: `Bearer ${key}`, Origin: ORIGIN };
    const before = open("default", { at: guarded, headers: () => byKey });
    await act(() => before.now.sendMessage({ text: "one" }));
    const kept = before.now.messages;
    const slow = open("slow", { at: guarded, id: before.id, messages: kept, headers: () => byKey });
    act(() => void slow.now.sendMessage({ text: "two" }));
    await waitFor(() => expect(slow.now.messages[3]?.parts.at(-1)).toMatchObject({ type: "text" }));
    const traceId = slow.last.metadata!.traceId!;
    slow.unmount();
    const headers = () => ({ ...byKey, "X-Feedback-Token": kept.at(-1)!.metadata!.feedbackToken! });
    const after = open("slow", { at: guarded, id: before.id, messages: kept, resume: true, headers });
    await waitFor(() => expect(after.last.id).toBe(traceId));
    const stop = { method: "POST", headers: { ...byKey, "Content-Type": "application/json" }, body: JSON.stringify({ messages: kept }) };
    const stopped = await fetch(`${guarded.url}/api/chat/${before.id}/stop`, stop);
    expect(await stopped.json()).toMatchObject({ trace_id: traceId, outcome: "stopped" });
    await waitFor(() => expect(after.now.status).toBe("ready"));
    expect(after.text).toBe(guarded.text(traceId));
  });

  test("somebody else's chat is none", async () => {
    const chat = open("default", { user: "ann" });
    await act(() => chat.now.sendMessage({ text: "hello" }));
    expect((await fetch(`${gateway.url}/api/chat/${chat.id}/stream?user_id=bob`)).status).toBe(404);
    expect((await fetch(`${gateway.url}/api/chat/${chat.id}/stream?user_id=ann`)).status).toBe(204);
    const other = open("default", { id: chat.id, user: "bob" });
    await act(() => other.now.sendMessage({ text: "hello" }));
    expect(other.now.status).toBe("error");
  });
});
