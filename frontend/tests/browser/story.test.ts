/** The whole way in a real browser: what the screen says is what the store holds. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Gateway, until } from "../gateway.js";
import { launch, NARROW, Tab } from "./page.js";

let browser: Browser;
let gateway: Gateway;
beforeAll(async () => {
  gateway = await Gateway.start();
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await gateway?.close();
});

const story = (name: string, go: (tab: Tab) => Promise<void>, options?: object) =>
  test.concurrent(name, () => Tab.on(browser, gateway.url, go, options));
const valid = (traceId: string) => gateway.ratings(traceId).filter((rating) => rating.valid);
const button = (tab: Tab, name: string) => tab.answer.getByRole("button", { name });

story("words come one after another, and stop keeps them", async (tab) => {
  await tab.choose("slow");
  await tab.page.evaluate(listen);
  await tab.ask("Tell me much");
  const lengths = new Set<number>();
  await until(async () => {
    lengths.add((await tab.text()).length);
    expect(lengths.size).toBeGreaterThan(6);
  });
  await tab.page.getByRole("button", { name: "Stop" }).click();
  const traceId = await tab.ended("stopped");
  expect(await gateway.outcome(traceId)).toBe("stopped");
  expect(await tab.text()).toBe(gateway.text(traceId));
  await expect(tab.answer.innerText()).resolves.toContain("You stopped this answer.");
  // A screen reader hears what goes on, and none of the words on their way.
  const heard = await tab.page.evaluate(() => (globalThis as unknown as { heard: string[] }).heard);
  expect(heard).toEqual(["Waiting for the answer", "The answer is coming", "Stopped"]);
});

/** In the page: keep what its live regions say. */
function listen(): void {
  const heard: string[] = [];
  Object.assign(globalThis, { heard });
  new MutationObserver((changes) => {
    const regions = changes.map(({ target }) => (target instanceof Element ? target : target.parentElement)?.closest("[aria-live], [role=status], [role=alert], [role=log]"));
    for (const region of new Set(regions)) if (region) heard.push(region.textContent ?? "");
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}

story("rate, change with a reason and a comment, reload, take back, rate in detail", async (tab) => {
  await tab.ask("What can you do?", "echo");
  const traceId = await tab.ended();
  await button(tab, "Good answer").click();
  await until(() => expect(valid(traceId)).toMatchObject([{ name: "user_feedback", value: "true" }]));

  await button(tab, "Bad answer").click();
  await tab.page.getByRole("button", { name: "Too long" }).click();
  await tab.page.getByLabel("Comment").fill("Half of it would do");
  await tab.page.getByRole("form", { name: "Why?" }).getByRole("button", { name: "Send" }).click();
  await until(() => expect(valid(traceId)).toMatchObject([{ value: "false", rationale: "Half of it would do" }]));

  await tab.page.reload();
  expect(await tab.ended()).toBe(traceId);
  await expect(button(tab, "Bad answer").getAttribute("aria-pressed")).resolves.toBe("true");
  await expect(tab.answer.innerText()).resolves.toMatch(/You found this bad · Too long\s*Half of it would do/);

  await button(tab, "Bad answer").click();
  await until(() => expect(valid(traceId)).toEqual([]));
  await expect(button(tab, "Bad answer").getAttribute("aria-pressed")).resolves.toBe("false");

  await button(tab, "Rate in detail").click();
  const dialog = tab.page.getByRole("dialog", { name: "Rate this answer in detail" });
  await dialog.getByRole("radio", { name: "4" }).check();
  await dialog.getByRole("radio", { name: "right" }).check();
  await dialog.getByLabel("Comment").fill("well balanced");
  await dialog.getByRole("button", { name: "Send" }).click();
  await until(() =>
    expect(valid(traceId)).toMatchObject([
      { name: "user_accuracy", value: "0.8", rationale: "well balanced" },
      { name: "user_tone", value: '"right"' },
    ]),
  );
  await tab.page.reload();
  await until(async () => expect(await tab.answer.innerText()).toContain("accuracy 4 · tone right"));
});

story("the trace ID is copied whole", async (tab) => {
  await tab.ask("hello");
  const traceId = await tab.ended();
  await button(tab, "Copy the trace ID").click();
  await until(async () => expect(await tab.page.evaluate(() => navigator.clipboard.readText())).toBe(traceId));
});

story("regenerate, another question, and the list of conversations", async (tab) => {
  await tab.ask("one");
  const first = await tab.ended();
  await button(tab, "Answer again").click();
  await until(async () => expect(await tab.ended()).not.toBe(first));
  await tab.ask("two");
  await until(async () => expect(await tab.answers.count()).toBe(2));
  await tab.ended();
  await tab.page.reload();
  await until(async () => expect(await tab.answers.count()).toBe(2));
  await tab.page.getByRole("button", { name: "New chat" }).click();
  await until(async () => expect(await tab.answers.count()).toBe(0));
  await tab.ask("three");
  await tab.ended();
  await tab.page.getByRole("link", { name: "one" }).click();
  await until(async () => expect(await tab.answers.count()).toBe(2));
});

story("a reload in the middle of an answer takes it up", async (tab) => {
  await tab.ask("Tell me much", "slow");
  await until(async () => expect((await tab.text()).length).toBeGreaterThan(60));
  const before = await tab.text();
  await tab.page.reload();
  await until(async () => expect((await tab.text()).length).toBeGreaterThan(before.length));
  expect((await tab.text()).startsWith(before)).toBe(true);
  await tab.page.getByRole("button", { name: "Stop" }).click();
  const traceId = await tab.ended("stopped");
  expect(await tab.text()).toBe(gateway.text(traceId));
});

story("a provider's error is told in words, and can be rated and tried again", async (tab) => {
  await tab.ask("hello", "broken");
  const traceId = await tab.ended("failed");
  expect(gateway.traces().find((trace) => trace.trace_id === traceId)).toMatchObject({ state: "ERROR", outcome: "upstream_error" });
  await expect(tab.answer.innerText()).resolves.toContain("This answer failed.");
  await button(tab, "Bad answer").click();
  await until(() => expect(valid(traceId)).toMatchObject([{ value: "false" }]));
  await tab.choose("default");
  await button(tab, "Answer again").click();
  await tab.ended();
});

const phone = { viewport: NARROW, isMobile: true, hasTouch: true };

story("on a phone: the drawer, a question, a rating", async (tab) => {
  await tab.ask("hello");
  const traceId = await tab.ended();
  await button(tab, "Good answer").tap();
  await until(() => expect(valid(traceId)).toMatchObject([{ value: "true" }]));
  await tab.page.getByRole("button", { name: "Conversations" }).tap();
  const drawer = tab.page.getByRole("dialog", { name: "Conversations" });
  await drawer.getByRole("link", { name: "hello" }).waitFor();
  await drawer.getByRole("button", { name: "New chat" }).tap();
  await until(async () => expect(await tab.answers.count()).toBe(0));
  const overflow = await tab.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow).toBeLessThanOrEqual(0);
}, phone);

story("by keyboard alone", async (tab) => {
  const { keyboard } = tab.page;
  const focused = () => tab.page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.id);
  const tabTo = async (name: string) => {
    for (let i = 0; i < 40 && (await focused()) !== name; i += 1) await keyboard.press("Tab");
    expect(await focused()).toBe(name);
  };
  await until(async () => expect(await focused()).toBe("question"));
  await keyboard.type("hello");
  await keyboard.press("Enter");
  const traceId = await tab.ended();
  await tab.page.evaluate(() => (document.activeElement as HTMLElement).blur());
  await tabTo("Bad answer");
  await keyboard.press("Space");
  await until(() => expect(valid(traceId)).toMatchObject([{ value: "false" }]));
  await tabTo("Rate in detail");
  await keyboard.press("Enter");
  await tab.page.getByRole("dialog").waitFor();
  await keyboard.press("Space");
  await keyboard.press("ArrowRight");
  await keyboard.press("ArrowRight");
  await keyboard.press("Tab");
  await keyboard.press("Tab");
  await keyboard.press("Tab");
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  await until(() => expect(valid(traceId).map(({ name, value }) => [name, value])).toContainEqual(["user_accuracy", "0.6"]));
  expect(await focused()).toBe("Rate in detail");
});

story("Escape stops", async (tab) => {
  await tab.ask("Tell me much", "slow");
  await until(async () => expect(await tab.text()).not.toBe(""));
  await tab.question.press("Escape");
  expect(await gateway.outcome(await tab.ended("stopped"))).toBe("stopped");
});
