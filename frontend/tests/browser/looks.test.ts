/**
 * How it looks, as pictures in docs/, and that axe has nothing to complain about in any of them.
 * Pictures that are there already stay, so that a run leaves the checkout clean; SCREENSHOTS=1 makes them again.
 */

import { createRequire } from "node:module";
import { existsSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Gateway, until } from "../gateway.js";
import { launch, NARROW, Tab, WIDE } from "./page.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PICTURES = resolve(dirname(fileURLToPath(import.meta.url)), "../../../docs/screenshots");

const KEPT = ["welcome", "rated", "detail", "failed"]; // the others are only looked at by axe

let browser: Browser;
let gateway: Gateway;
beforeAll(async () => {
  mkdirSync(PICTURES, { recursive: true });
  gateway = await Gateway.start();
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await gateway?.close();
});

/** axe's findings, in words. It runs in a world of its own, which the page's policy doesn't reach. */
async function violations(tab: Tab): Promise<string[]> {
  if (!(await tab.page.evaluate(() => "axe" in globalThis))) await tab.page.addScriptTag({ path: AXE });
  const found = await tab.page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: (options: object) => Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }> } };
    return (await axe.run({ resultTypes: ["violations"] })).violations;
  });
  return found.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.failureSummary}`));
}

describe.concurrent.each([
  ["wide", WIDE],
  ["narrow", NARROW],
])("%s", (size, viewport) => {
  test.concurrent.each(["light", "dark"] as const)("%s", (colorScheme) =>
    Tab.on(browser, gateway.url, (tab) => tour(tab, `${size}-${colorScheme}`), { viewport, colorScheme, bypassCSP: true, reducedMotion: "reduce" }),
  );
});

async function tour(tab: Tab, kind: string): Promise<void> {
  const picture = async (name: string) => {
    const path = `${PICTURES}/${name}-${kind}.png`;
    const wanted = KEPT.includes(name) && (process.env.SCREENSHOTS !== undefined || !existsSync(path));
    if (wanted) await tab.page.screenshot({ path });
    expect(await violations(tab), name).toEqual([]);
  };
  await tab.page.getByRole("heading", { name: "What would you like to know?" }).waitFor();
  await picture("welcome");
  await tab.ask("How do I rate an answer?", "echo");
  await tab.ended();
  await tab.answer.getByRole("button", { name: "Bad answer" }).click();
  await tab.page.getByRole("button", { name: "Too long" }).click();
  await tab.page.getByLabel("Comment").fill("Half of it would do.");
  await picture("rating");
  await tab.page.getByRole("form", { name: "Why?" }).getByRole("button", { name: "Send" }).click();
  await tab.page.getByText("Change").waitFor();
  await picture("rated");
  await tab.answer.getByRole("button", { name: "Rate in detail" }).click();
  await tab.page.getByRole("radio", { name: "4" }).check();
  await picture("detail");
  await tab.page.keyboard.press("Escape");
  await tab.ask("Tell me much", "slow");
  await until(async () => expect(await tab.answers.count()).toBe(2));
  await until(async () => expect((await tab.text()).length).toBeGreaterThan(200));
  await picture("streaming");
  await tab.question.press("Escape");
  await tab.ended("stopped");
  await tab.ask("hello", "broken");
  await until(async () => expect(await tab.answers.count()).toBe(3));
  await tab.ended("failed");
  await picture("failed");
  // The conversation scrolls, never the page.
  const over = () => document.documentElement.scrollHeight - innerHeight;
  await tab.page.getByTestId("scroll").evaluate((box) => (box.scrollTop = 0));
  expect(await tab.page.evaluate(over)).toBeLessThanOrEqual(0);
  await tab.page.getByRole("combobox", { name: "Model" }).click();
  await tab.page.getByRole("option", { name: "default" }).waitFor();
  await picture("models");
  await tab.page.keyboard.press("Escape");
  await tab.context.setOffline(true);
  await tab.page.getByText("You are offline.").waitFor();
  await picture("offline");
  await tab.context.setOffline(false);
  await tab.page.getByRole("button", { name: "Key" }).first().click();
  await tab.page.getByRole("dialog", { name: "API key" }).waitFor();
  await picture("key");
  if (kind.startsWith("wide")) return;
  await tab.page.keyboard.press("Escape");
  await tab.page.getByRole("button", { name: "Conversations" }).click();
  await tab.page.getByRole("dialog", { name: "Conversations" }).waitFor();
  await picture("drawer");
}
