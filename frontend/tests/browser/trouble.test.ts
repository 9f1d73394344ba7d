/** When the network, the server or the door is in the way. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CONFIG, Gateway, until } from "../gateway.js";
import { launch, Tab } from "./page.js";
import { Network } from "./proxy.js";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

test("the network is cut amid an answer, again and again: no word twice or missing", async () => {
  const gateway = await Gateway.start();
  const network = await Network.to(gateway.port);
  const tab = await Tab.open(browser, network.url);
  try {
    await tab.ask("Tell me much", "slow");
    for (let cuts = 0; cuts < 3; cuts += 1) {
      const before = (await tab.text()).length;
      await until(async () => expect((await tab.text()).length).toBeGreaterThan(before));
      network.cut();
      await tab.page.getByText("The connection was lost. Trying again…").first().waitFor({ timeout: 3000 }).catch(() => {});
      network.mend();
    }
    const traceId = await tab.ended();
    await tab.page.waitForTimeout(50);
    const shown = (await tab.text()).replace(/\s+/g, " ").trim();
    expect(shown).toBe(gateway.text(traceId).replace(/\s+/g, " ").trim());
    expect(await gateway.outcome(traceId)).toBe("complete");
  } finally {
    await tab.close();
    await network.close();
    await gateway.close();
  }
});

test("a rating given offline is sent when the network is back", async () => {
  const gateway = await Gateway.start();
  const network = await Network.to(gateway.port);
  const tab = await Tab.open(browser, network.url);
  try {
    await tab.ask("hello");
    const traceId = await tab.ended();
    network.cut();
    await tab.answer.getByRole("button", { name: "Good answer" }).click();
    await tab.answer.getByText("Feedback will be sent when the connection is back").waitFor();
    network.mend();
    await tab.page.evaluate(() => dispatchEvent(new Event("online")));
    await until(() => expect(gateway.ratings(traceId)).toMatchObject([{ value: "true", valid: 1 }]));
  } finally {
    await tab.close();
    await network.close();
    await gateway.close();
  }
});

test("the server is killed and comes back: the answer so far stays, marked, and can be rated", async () => {
  const gateway = await Gateway.start();
  const tab = await Tab.open(browser, gateway.url);
  try {
    await tab.ask("Tell me much", "slow");
    await until(async () => expect((await tab.text()).length).toBeGreaterThan(400), 20_000);
    await gateway.end("SIGKILL");
    await tab.page.getByText("The connection was lost. Trying again…").first().waitFor();
    await gateway.start();
    const traceId = await tab.ended("interrupted");
    expect(await gateway.outcome(traceId)).toBe("interrupted");
    expect(await tab.text()).toBe(gateway.text(traceId));
    await expect(tab.answer.innerText()).resolves.toContain("This answer broke off");
    await tab.answer.getByRole("button", { name: "Bad answer" }).click();
    await until(() => expect(gateway.ratings(traceId)).toMatchObject([{ value: "false", valid: 1 }]));
  } finally {
    await tab.close();
    await gateway.close();
  }
});

test("with a publishable key: chat, rate, reload and the same rater, though the key itself rates nothing", async () => {
  let key = "";
  const gateway = await Gateway.start(`${CONFIG}\n[auth]\nrequire_keys = "always"\n`, (made) => {
    const args = ["--role", "chat", "--publishable", "--origins", made.url, "--name", "web"];
    key = made.run("keys", "create", ...args).trim();
  });
  expect(key).toMatch(/^gw-pk-/);
  const tab = await Tab.open(browser, gateway.url);
  try {
    const dialog = tab.page.getByRole("dialog", { name: "API key" });
    await dialog.getByLabel("Key").fill(key);
    await dialog.getByRole("button", { name: "Use this key" }).click();
    await tab.ask("one");
    await tab.ended();
    await tab.ask("two");
    await until(async () => expect(await tab.answers.count()).toBe(2));
    const traceId = await tab.ended();
    await tab.answer.getByRole("button", { name: "Good answer" }).click();
    await until(() => expect(gateway.ratings(traceId)).toMatchObject([{ value: "true", valid: 1 }]));
    await tab.page.reload();
    await until(async () => expect(await tab.answers.count()).toBe(2));
    const again = tab.answer.getByRole("button", { name: "Bad answer" });
    await expect(tab.answer.getByRole("button", { name: "Good answer" }).getAttribute("aria-pressed")).resolves.toBe("true");
    await again.click();
    await until(() => expect(gateway.ratings(traceId).filter((rating) => rating.valid)).toMatchObject([{ value: "false" }]));
    await tab.ask("Tell me much", "slow");
    await until(async () => expect(await tab.answers.count()).toBe(3));
    await until(async () => expect((await tab.text()).length).toBeGreaterThan(50));
    await tab.page.reload();
    await until(async () => expect((await tab.text()).length).toBeGreaterThan(100));
    await tab.question.press("Escape");
    expect(await gateway.outcome(await tab.ended("stopped"))).toBe("stopped");
  } finally {
    await tab.close();
    await gateway.close();
  }
});

test("where keys are required the app asks for one, and keeps it in its tab", async () => {
  let key = "";
  const gateway = await Gateway.start(`${CONFIG}\n[auth]\nrequire_keys = "always"\n`, (made) => {
    key = made.run("keys", "create", "--role", "chat", "--name", "browser").trim();
  });
  const tab = await Tab.open(browser, gateway.url);
  try {
    const dialog = tab.page.getByRole("dialog", { name: "API key" });
    await dialog.getByLabel("Key").fill("gw-sk-wrong");
    await dialog.getByRole("button", { name: "Use this key" }).click();
    await tab.ask("hello");
    await tab.page.getByRole("button", { name: "Enter a key" }).click();
    await dialog.getByLabel("Key").fill(key);
    await dialog.getByRole("button", { name: "Use this key" }).click();
    await tab.answer.getByRole("button", { name: "Answer again" }).click();
    const traceId = await tab.ended();
    await tab.answer.getByRole("button", { name: "Good answer" }).click();
    await until(() => expect(gateway.ratings(traceId)).toMatchObject([{ value: "true", valid: 1 }]));
    await tab.page.reload();
    expect(await tab.ended()).toBe(traceId);
    expect(await tab.page.evaluate(() => JSON.stringify(localStorage))).not.toContain(key);
  } finally {
    await tab.close();
    await gateway.close();
  }
});
