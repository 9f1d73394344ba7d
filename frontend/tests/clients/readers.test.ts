/** Other people's readers of server-sent events, as npm has them: nothing empty, and no word lost or twice after a cut. */

import { fetchEventSource, type FetchEventSourceInit } from "@microsoft/fetch-event-source";
import { EventSource } from "eventsource";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Network } from "../browser/proxy.js";
import { CONFIG, Gateway, until } from "../gateway.js";

const MODELS = '[models.talker]\ntargets = ["demo/unicode-150-15ms"]\n[models.thinker]\ntargets = ["demo/lorem-3-1500ms"]\n';
const ENDS = ["done", "error"];

interface Event {
  type: string;
  content?: string;
  trace_id?: string;
}

let gateway: Gateway;
let network: Network;
beforeAll(async () => {
  // fetch-event-source looks for a browser's window; the network stays Node's own.
  Object.assign(globalThis, { window: globalThis, document: new EventTarget() });
  gateway = await Gateway.start(CONFIG + MODELS);
  network = await Network.to(gateway.port);
});
afterAll(async () => {
  await network?.close();
  await gateway?.close();
});

let number = 0;
const textOf = (events: Event[]) => events.map((event) => (event.type === "token" ? event.content : "")).join("");

/** What its caller gets, parsed as in the package's own example; the network is cut so many times. */
async function retried(model: string, cuts: number, init: FetchEventSourceInit = {}): Promise<Event[]> {
  const events: Event[] = [];
  let left = cuts;
  await fetchEventSource(`${network.url}/chat/stream`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ message: "Tell me much", model, client_request_id: `reader-${++number}` }),
    onmessage(message) {
      events.push(JSON.parse(message.data) as Event);
      if (left > 0 && events.length % 12 === 0) {
        left -= 1;
        network.cut();
        network.mend();
      }
    },
    onerror: () => 20, // the milliseconds until it tries again
    ...init,
  });
  expect(left).toBe(0);
  return events;
}

describe("@microsoft/fetch-event-source", () => {
  test("comments and heartbeats are no messages", async () => {
    const events = await retried("thinker", 0);
    expect(events.map(({ type }) => type)).toEqual(["start", "token", "token", "token", "done"]);
  });

  test("its retries after a cut go on with the same answer", async () => {
    const before = gateway.traces().length;
    const events = await retried("talker", 3);
    const [start] = events;
    expect(events.filter(({ type }) => type === "start")).toHaveLength(1);
    expect(events.filter(({ type }) => ENDS.includes(type))).toHaveLength(1);
    expect(textOf(events)).toBe(gateway.text(start!.trace_id!));
    expect(gateway.traces()).toHaveLength(before + 1);
    expect(await gateway.outcome(start!.trace_id!)).toBe("complete");
  });

  test("a page that is hidden and shown again goes on, too", async () => {
    const document = Object.assign(new EventTarget(), { hidden: false });
    Object.assign(globalThis, { document });
    let shown = 0;
    const show = (visible: boolean) => {
      if (visible) shown += 1;
      document.hidden = !visible;
      document.dispatchEvent(new Event("visibilitychange"));
    };
    const events: Event[] = [];
    await retried("talker", 0, {
      onmessage(message) {
        events.push(JSON.parse(message.data) as Event);
        if (events.length !== 20 && events.length !== 30) return;
        show(false); // it ends its request
        setTimeout(() => show(true), 100); // and makes it again
      },
    });
    expect(shown).toBe(2);
    expect(textOf(events)).toBe(gateway.text(events[0]!.trace_id!));
  });
});

/** Begin a chat whose reader leaves at once; its trace. */
async function begun(model: string): Promise<string> {
  const leave = new AbortController();
  const body = JSON.stringify({ message: "Tell me much", model });
  const headers = { "Content-Type": "application/json" };
  const reply = await fetch(`${gateway.url}/chat/stream`, { method: "POST", headers, body, signal: leave.signal });
  leave.abort();
  return reply.headers.get("x-trace-id")!;
}

test("eventsource reads a stream by its trace, and comes back after a cut", async () => {
  const traceId = await begun("talker");
  const source = new EventSource(`${network.url}/chat/stream/${traceId}`);
  const events: Event[] = [];
  let cuts = 1; // it waits three seconds before it comes back
  const take = ({ data }: MessageEvent<string>) => {
    events.push(JSON.parse(data) as Event);
    if (cuts > 0 && events.length % 10 === 0) {
      cuts -= 1;
      network.cut();
      network.mend();
    }
  };
  source.addEventListener("message", take);
  source.addEventListener("done", take);
  try {
    await until(() => expect(events.at(-1)?.type).toBe("done"));
  } finally {
    source.close();
  }
  expect(cuts).toBe(0);
  expect(textOf(events)).toBe(gateway.text(traceId));
});

test("eventsource reads the live feed, whose pings are no messages", async () => {
  const source = new EventSource(`${gateway.url}/events`);
  const seen: Event[] = [];
  source.addEventListener("message", ({ data }) => seen.push({ type: `empty ${data}` }));
  source.addEventListener("chat", ({ data }) => seen.push(JSON.parse(data as string) as Event));
  try {
    await new Promise((opened) => source.addEventListener("open", opened, { once: true }));
    await until(async () => {
      await fetch(`${gateway.url}/chat`, { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"message":"hi"}' });
      expect(seen.length).toBeGreaterThan(0);
    });
    expect(seen.every(({ type }) => !type?.startsWith("empty"))).toBe(true);
  } finally {
    source.close();
  }
});

test("eventsource-parser finds the events, and an `id` to come back by, in a stream that is cut", async () => {
  const events: Event[] = [];
  const comments: string[] = [];
  let after = "0";
  const read = async (path: string, init: RequestInit, most: number) => {
    const parser = createParser({
      onComment: (comment) => comments.push(comment),
      onEvent(message: EventSourceMessage) {
        events.push(JSON.parse(message.data) as Event);
        after = message.id!;
        if (events.length === most) network.cut();
      },
    });
    const reply = await fetch(network.url + path, init);
    const decoder = new TextDecoder();
    for await (const bytes of reply.body!) parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
  };
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ message: "Tell me much", model: "talker" });
  await expect(read("/chat/stream", { method: "POST", headers, body }, 30)).rejects.toThrow();
  network.mend();
  const traceId = events[0]!.trace_id!;
  await read(`/chat/stream/${traceId}`, { headers: { "Last-Event-ID": after } }, -1);
  expect(events.at(-1)?.type).toBe("done");
  expect(textOf(events)).toBe(gateway.text(traceId));
  expect(comments).toEqual(["connected", "connected"]);
});
