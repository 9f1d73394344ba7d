/** The chat store against a real gateway: what it shows is what the gateway has. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createChat, sseTransport, webSocketTransport, type Chat, type Transport } from "../../src/index.js";
import { WebSocket } from "ws";
import { Gateway, until } from "../gateway.js";

globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket; // Node has one from 22 on

let gateway: Gateway;
beforeAll(async () => {
  gateway = await Gateway.start();
});
afterAll(() => gateway.close());

const last = (chat: Chat) => chat.getState().messages.at(-1)!;

/** fetch that loses the connection in the middle of the body after `bytes`, `times` times. */
function breaking(bytes: number, times: number): typeof fetch {
  let left = times;
  return async (input, init) => {
    const response = await fetch(input, init);
    if (!response.body || !String(input).includes("/chat/stream") || left <= 0) return response;
    left -= 1;
    let room = bytes;
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, control) {
        control.enqueue(chunk.subarray(0, room));
        room -= chunk.length;
        if (room <= 0) control.error(new TypeError("network error"));
      },
    });
    return new Response(response.body.pipeThrough(cut), response);
  };
}

describe.concurrent.each([
  ["server-sent events", () => sseTransport],
  ["WebSocket", webSocketTransport],
])("over %s", (_name, transport: () => Transport) => {
  const open = (model: string) => createChat({ api: gateway.url, model, transport: transport() });

  test("an answer comes whole, with its trace, usage and timing", async () => {
    const chat = open("unicode");
    await chat.sendMessage("hello");
    const message = last(chat);
    expect(message).toMatchObject({ role: "assistant", status: "done", model: "unicode", finishReason: "stop" });
    expect(message.text).toBe(gateway.text(message.traceId!));
    expect(message.usage?.total_tokens).toBeGreaterThan(0);
    expect(message.timing?.total_ms).toBeGreaterThan(0);
    expect(chat.getState()).toMatchObject({ status: "ready", error: null, traceId: message.traceId });
  });

  test("it comes token after token", async () => {
    const chat = open("slow");
    const lengths = new Set<number>();
    chat.subscribe(() => lengths.add(last(chat).text.length));
    const asked = chat.sendMessage("hello");
    await until(() => expect(lengths.size).toBeGreaterThan(4));
    expect(chat.getState().status).toBe("streaming");
    await chat.stop();
    await asked;
  });

  test("stop keeps what there is, here and in the store", async () => {
    const chat = open("slow");
    const asked = chat.sendMessage("hello");
    await until(() => expect(last(chat).text).not.toBe(""));
    await chat.stop();
    await asked;
    const { traceId, text, status } = last(chat);
    expect(status).toBe("stopped");
    expect(await gateway.outcome(traceId!)).toBe("stopped");
    expect(text).toBe(gateway.text(traceId!));
  });

  test("stop before the first word stops as well", async () => {
    const chat = open("slow");
    const asked = chat.sendMessage("hello");
    await chat.stop();
    await asked;
    expect(last(chat).status).toBe("stopped");
    expect(await gateway.outcome(last(chat).traceId!)).toBe("stopped");
  });

  test("a provider's failure is an error, and the next question works", async () => {
    const chat = open("broken");
    await chat.sendMessage("hello");
    expect(last(chat)).toMatchObject({ status: "failed" });
    expect(chat.getState()).toMatchObject({ status: "error", error: { code: "upstream_error" } });
    chat.configure({ api: gateway.url, transport: transport() });
    await chat.sendMessage("again");
    expect(chat.getState()).toMatchObject({ status: "ready", error: null });
  });

  test("leaving lets the gateway record it as disconnected", async () => {
    const chat = open("slow");
    void chat.sendMessage("hello");
    await until(() => expect(last(chat).text).not.toBe(""));
    chat.dispose();
    expect(last(chat).status).toBe("interrupted");
    expect(await gateway.outcome(last(chat).traceId!)).toBe("disconnected");
  });
});

test.concurrent.each([1, 60, 700, 777, 1000])("a connection that breaks after %i bytes, again and again, loses no word", async (bytes) => {
  const chat = createChat({ api: gateway.url, model: "unicode", fetch: breaking(bytes, 3) });
  await chat.sendMessage("hello");
  // Before the first event nothing can be taken up: then it is an error, and never half an answer.
  if (bytes < 100) return expect(chat.getState().error?.code).toBe("offline");
  expect(chat.getState().error).toBeNull();
  expect(last(chat).text).toBe(gateway.text(last(chat).traceId!));
  return expect(last(chat).text.length).toBeGreaterThan(100);
});

test("a conversation goes on by session, and is shown again", async () => {
  const chat = createChat({ api: gateway.url });
  await chat.sendMessage("one");
  await chat.sendMessage("two");
  const { sessionId, messages } = chat.getState();
  const again = createChat({ api: gateway.url, sessionId: sessionId! });
  await again.restore();
  const shown = (chat: Chat) => chat.getState().messages.map(({ role, text, traceId, status }) => [role, text, traceId, status]);
  expect(shown(again)).toEqual(shown(chat));
  expect(messages).toHaveLength(4);
});

test("regenerate replaces the answer, and the next question doesn't bring the old one along", async () => {
  const chat = createChat({ api: gateway.url });
  await chat.sendMessage("one");
  const first = last(chat).traceId!;
  await chat.regenerate();
  expect(last(chat).traceId).not.toBe(first);
  await chat.sendMessage("two");
  expect(chat.getState().messages).toHaveLength(4);
  const again = createChat({ api: gateway.url, sessionId: chat.getState().sessionId!, replaced: chat.getState().replaced });
  await again.restore();
  expect(again.getState().messages.map((m) => m.text)).toEqual(chat.getState().messages.map((m) => m.text));
});

test("a page that comes back in the middle of an answer takes it up", async () => {
  const before = createChat({ api: gateway.url, model: "slow" });
  void before.sendMessage("hello");
  await until(() => expect(last(before).text).not.toBe(""));
  const sessionId = before.getState().sessionId!;
  before.dispose();
  const after = createChat({ api: gateway.url, sessionId });
  const restored = after.restore();
  await until(() => expect(last(after).text.length).toBeGreaterThan(last(before).text.length));
  expect(last(after).text.startsWith(last(before).text)).toBe(true);
  await after.stop();
  await restored;
  expect(last(after)).toMatchObject({ status: "stopped", text: gateway.text(last(after).traceId!) });
});

test("what is refused says why", async () => {
  const chat = createChat({ api: gateway.url, model: "nonsense" });
  await chat.sendMessage("hello");
  expect(chat.getState().error).toMatchObject({ status: 404, retryable: false });
  expect(last(chat).status).toBe("failed");
  chat.clearError();
  expect(chat.getState()).toMatchObject({ status: "ready", error: null });
});

test("nobody there is an error that may pass", async () => {
  const chat = createChat({ api: "http://127.0.0.1:9" });
  await chat.sendMessage("hello");
  expect(chat.getState().error).toMatchObject({ code: "offline", retryable: true });
});

test("a gateway that is killed and comes back: the answer so far stays, marked, and equals the record", async () => {
  const own = await Gateway.start();
  try {
    const chat = createChat({ api: own.url, model: "slow" });
    const asked = chat.sendMessage("hello");
    await until(() => expect(last(chat).text.length).toBeGreaterThan(300));
    await own.end("SIGKILL");
    await until(() => expect(chat.getState().reconnecting).toBeGreaterThan(0));
    await own.start();
    await asked;
    expect(last(chat)).toMatchObject({ status: "interrupted", text: own.text(last(chat).traceId!) });
    expect(last(chat).text).not.toBe("");
    expect(await own.outcome(last(chat).traceId!)).toBe("interrupted");
  } finally {
    await own.close();
  }
});
