/** The WebSocket transport with a key: who asks stays the same from turn to turn, and from socket to socket. */

import { act, cleanup, renderHook } from "../react.js";
import { WebSocket } from "ws";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createChat, sseTransport, webSocketTransport, type Chat, type ChatOptions } from "../../src/index.js";
import { useStreamingChat } from "../../src/react.js";
import { CONFIG, Gateway, until } from "../gateway.js";

const ORIGIN = "https://app.example";
let gateway: Gateway;
let publishable: string;
let secret: string;
let opened = 0;

beforeAll(async () => {
  // A socket as a page of that origin would open it.
  class PageSocket extends WebSocket {
    constructor(url: URL) {
      super(url, { origin: ORIGIN });
      opened += 1;
    }
  }
  vi.stubGlobal("WebSocket", PageSocket);
  gateway = await Gateway.start(`${CONFIG}\n[auth]\nrequire_keys = "always"\n`, (made) => {
    const create = (...args: string[]) =>
      (JSON.parse(made.run("keys", "create", "--json", "--role", "chat", ...args)) as { key: string }).key;
    publishable = create("--publishable", "--origins", ORIGIN);
    secret = create();
  });
});
afterAll(async () => {
  await gateway?.close();
  vi.unstubAllGlobals();
});

const open = (options: ChatOptions = {}) =>
  createChat({ api: gateway.url, apiKey: publishable, headers: { Origin: ORIGIN }, transport: webSocketTransport(), ...options });
const last = (chat: Chat) => chat.getState().messages.at(-1)!;

const TRANSPORTS = [
  ["server-sent events", sseTransport],
  ["a socket", webSocketTransport()],
] as const;

test.each(TRANSPORTS)("the hook's second turn with a publishable key is the same rater's, over %s", async (_, transport) => {
  const headers = { Origin: ORIGIN };
  const { result } = renderHook(() => useStreamingChat({ api: gateway.url, apiKey: publishable, headers, transport }));
  await act(() => result.current.sendMessage("one"));
  await act(() => result.current.sendMessage("two"));
  expect(result.current).toMatchObject({ status: "ready", error: null });
  expect(gateway.traces().filter((trace) => trace.session_id === result.current.sessionId)).toHaveLength(2);
  cleanup();
});

test.each(TRANSPORTS)("a second turn with a publishable key goes on with the session, over %s", async (_, transport) => {
  const chat = open({ transport });
  await chat.sendMessage("one");
  await chat.sendMessage("two");
  expect(chat.getState()).toMatchObject({ status: "ready", error: null });
  expect(last(chat).status).toBe("done");
  expect(gateway.traces().filter((trace) => trace.session_id === chat.getState().sessionId)).toHaveLength(2);
});

test("a token kept from before opens the session in another page", async () => {
  const before = open();
  await before.sendMessage("one");
  const { sessionId } = before.getState();
  const after = open({ sessionId: sessionId!, token: last(before).feedbackToken });
  await after.restore();
  await after.sendMessage("two");
  expect(after.getState()).toMatchObject({ status: "ready", sessionId });
});

test("a page that comes back in the middle of an answer takes it up with the answer's token", async () => {
  const before = open({ model: "slow" });
  void before.sendMessage("hello");
  await until(() => expect(last(before).text).not.toBe(""));
  const { sessionId } = before.getState();
  const token = last(before).feedbackToken;
  before.dispose();
  const after = open({ sessionId: sessionId!, token });
  const restored = after.restore();
  await until(() => expect(last(after).text.length).toBeGreaterThan(last(before).text.length));
  await after.stop();
  await restored;
  expect(last(after)).toMatchObject({ status: "stopped", text: gateway.text(last(after).traceId!) });
});

test("chats of two raters on one transport go on, each as its own", async () => {
  const transport = webSocketTransport();
  const [one, two] = [open({ transport }), open({ transport })];
  await one.sendMessage("one");
  await two.sendMessage("one");
  const before = opened;
  await Promise.all([one.sendMessage("two"), two.sendMessage("two")]);
  expect([one, two].map((chat) => chat.getState().status)).toEqual(["ready", "ready"]);
  expect(opened - before).toBe(2);
});

test("a user whom a secret key vouches for stays that user", async () => {
  const chat = open({ apiKey: secret, userId: "ann" });
  await chat.sendMessage("one");
  await chat.sendMessage("two");
  expect(chat.getState()).toMatchObject({ status: "ready", error: null });
});

test("who a secret key vouches for nobody stays the same, too", async () => {
  const chat = open({ apiKey: secret });
  await chat.sendMessage("one");
  await chat.sendMessage("two");
  expect(chat.getState()).toMatchObject({ status: "ready", error: null });
  expect(gateway.traces().filter((trace) => trace.session_id === chat.getState().sessionId)).toHaveLength(2);
});

test("chats without a token share one socket", async () => {
  const transport = webSocketTransport();
  const before = opened;
  const chats = [open({ transport }), open({ transport })];
  await Promise.all(chats.map((chat) => chat.sendMessage("hello")));
  expect(chats.map((chat) => chat.getState().status)).toEqual(["ready", "ready"]);
  expect(opened - before).toBe(1);
});
