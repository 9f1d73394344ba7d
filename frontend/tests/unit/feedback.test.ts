/** The feedback store against a real gateway: optimistic, counted once, nothing lost. */

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { createChat, createFeedback, type Feedback, type FeedbackOptions } from "../../src/index.js";
import { Gateway, until } from "../gateway.js";

let gateway: Gateway;
let traceId: string;
beforeAll(async () => {
  gateway = await Gateway.start();
});
afterAll(() => gateway.close());

beforeEach(async () => {
  const stored = new Map<string, string>();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
  });
  const events = new EventTarget();
  vi.stubGlobal("addEventListener", events.addEventListener.bind(events));
  vi.stubGlobal("removeEventListener", events.removeEventListener.bind(events));
  vi.stubGlobal("dispatchEvent", events.dispatchEvent.bind(events));
  const chat = createChat({ api: gateway.url });
  await chat.sendMessage("hello");
  traceId = chat.getState().traceId!;
});
afterEach(() => vi.unstubAllGlobals());

const open = (options: FeedbackOptions = {}) => createFeedback(traceId, { api: gateway.url, initial: [], ...options });
const settled = (feedback: Feedback) => until(() => expect(feedback.getState().state).not.toBe("saving"));
const valid = () => gateway.ratings(traceId).filter((rating) => rating.valid);

test("a thumb shows at once and is then stored", async () => {
  const feedback = open();
  feedback.rate(true);
  expect(feedback.getState()).toMatchObject({ rating: true, state: "saving" });
  await settled(feedback);
  expect(feedback.getState()).toMatchObject({ rating: true, state: "saved", error: null });
  expect(valid()).toMatchObject([{ name: "user_feedback", value: "true" }]);
});

test("a change with reasons, then a comment: one valid rating, the history kept", async () => {
  const feedback = open();
  feedback.rate(true);
  await settled(feedback);
  feedback.rate(false, { reasons: ["wrong", "too long"] });
  await settled(feedback);
  feedback.addComment("not quite");
  await settled(feedback);
  expect(valid()).toHaveLength(1);
  expect(valid()[0]).toMatchObject({ value: "false", rationale: "not quite" });
  expect(JSON.parse(valid()[0]!.metadata)).toMatchObject({ reasons: '["wrong","too long"]' });
  expect(gateway.ratings(traceId)).toHaveLength(3);
});

test("retract takes it back", async () => {
  const feedback = open();
  feedback.rate(true, { comment: "well" });
  await settled(feedback);
  feedback.retract();
  expect(feedback.getState()).toMatchObject({ rating: null, comment: "" });
  await settled(feedback);
  expect(valid()).toEqual([]);
});

test("fast clicking ends in the last one, counted once", async () => {
  const feedback = open();
  for (let i = 0; i < 9; i += 1) feedback.rate(i % 2 === 0);
  await settled(feedback);
  expect(feedback.getState().rating).toBe(true);
  expect(valid()).toMatchObject([{ value: "true" }]);
  expect(gateway.ratings(traceId).length).toBeLessThanOrEqual(2);
});

test("dimensions are stored by name, and come back as given", async () => {
  const feedback = open();
  feedback.rateDetailed({ accuracy: 4, tone: "right" }, "good");
  await settled(feedback);
  expect(valid()).toMatchObject([
    { name: "user_accuracy", value: "0.8", rationale: "good" },
    { name: "user_tone", value: '"right"' },
  ]);
  const again = createFeedback(traceId, { api: gateway.url });
  const leave = again.start();
  await until(() => expect(again.getState().scores).toEqual({ accuracy: 4, tone: "right" }));
  leave();
});

test("what is refused is rolled back and says why", async () => {
  const feedback = open();
  feedback.rate(true);
  await settled(feedback);
  feedback.rateDetailed({ accuracy: 9 });
  expect(feedback.getState().scores).toEqual({ accuracy: 9 });
  await settled(feedback);
  expect(feedback.getState()).toMatchObject({ rating: true, scores: {}, state: "error", error: { status: 422 } });
});

test("offline it waits over a reload, and goes out once", async () => {
  const offline = open({ fetch: () => Promise.reject(new TypeError("offline")) });
  const leave = offline.start();
  offline.rate(false, { comment: "later" });
  await settled(offline);
  expect(offline.getState()).toMatchObject({ rating: false, state: "queued", error: { code: "offline" } });
  leave();
  const reloaded = open();
  reloaded.start();
  expect(reloaded.getState()).toMatchObject({ rating: false, comment: "later" });
  await settled(reloaded);
  expect(valid()).toMatchObject([{ value: "false", rationale: "later" }]);
  expect(localStorage.getItem(`feedback-gateway:${traceId}`)).toBeNull();
});

test("a reply that is lost on its way doesn't make it two", async () => {
  let lost = 0;
  const feedback = open({
    fetch: async (...args) => {
      const reply = await fetch(...args);
      if (lost++ === 0) throw new TypeError("connection reset");
      return reply;
    },
  });
  feedback.start();
  feedback.rate(true);
  await settled(feedback);
  expect(feedback.getState().state).toBe("queued");
  dispatchEvent(new Event("online"));
  await until(() => expect(feedback.getState().state).toBe("saved"));
  expect(gateway.ratings(traceId)).toHaveLength(1);
});

test("a token is sent in place of the key, and the key where the token is refused", async () => {
  const seen: (string | null)[][] = [];
  const feedback = open({
    token: "expired",
    apiKey: "gw-sk-x",
    fetch: (_url, init) => {
      const headers = new Headers(init?.headers);
      seen.push([headers.get("x-feedback-token"), headers.get("authorization")]);
      return Promise.resolve(new Response("{}", { status: seen.length === 1 ? 401 : 200 }));
    },
  });
  feedback.rate(true);
  await settled(feedback);
  expect(seen).toEqual([["expired", null], [null, "Bearer gw-sk-x"]]);
});
