/** When the network, the server or the door is in the way. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CONFIG, Gateway, until } from "../gateway.js";
import { launch, Tab } from "./page.js";
import { Provider } from "./provider.js";
import { Network } from "./proxy.js";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

test.concurrent("the network is cut in the middle of an answer, again and again: no word twice or missing", async () => {
  const provider = await Provider.start();
  let cut = 0;
  provider.answers.set("talker", talk(() => cut < 3));
  const gateway = await Gateway.start(provider.config("talker"));
  const network = await Network.to(gateway.port);
  try {
    await Tab.on(browser, network.url, async (tab) => {
      await tab.ask("Tell me much");
      for (; cut < 3; cut += 1) {
        const before = (await tab.text()).length;
        await until(async () => expect((await tab.text()).length).toBeGreaterThan(before));
        network.cut();
        await tab.page.getByText("The connection was lost. Trying again…").waitFor();
        network.mend();
      }
      const traceId = await tab.ended();
      expect(await tab.text()).toBe(gateway.text(traceId).trim());
      expect(await gateway.outcome(traceId)).toBe("complete");
    });
  } finally {
    await network.close();
    await gateway.close();
    await provider.close();
  }
});

/** Numbered words, one every few milliseconds, for as long as somebody wants them. */
async function* talk(wanted: () => boolean): AsyncGenerator<string> {
  for (let word = 0; wanted(); word += 1) {
    yield `word${word} `;
    await new Promise((done) => setTimeout(done, 15));
  }
}

test.concurrent("a rating given offline is sent when the network is back", async () => {
  const gateway = await Gateway.start();
  try {
    await Tab.on(browser, gateway.url, async (tab) => {
      await tab.ask("hello");
      const traceId = await tab.ended();
      await tab.context.setOffline(true);
      await tab.page.getByText("You are offline.").waitFor();
      await tab.answer.getByRole("button", { name: "Good answer" }).click();
      await tab.answer.getByText("Feedback will be sent when the connection is back").waitFor();
      expect(gateway.ratings(traceId)).toEqual([]);
      await tab.context.setOffline(false);
      await until(() => expect(gateway.ratings(traceId)).toMatchObject([{ value: "true", valid: 1 }]));
      await tab.page.getByText("You are offline.").waitFor({ state: "hidden" });
    });
  } finally {
    await gateway.close();
  }
});

test.concurrent("the server is killed and comes back: the answer so far stays, marked, and can be rated", async () => {
  const gateway = await Gateway.start();
  try {
    await Tab.on(browser, gateway.url, async (tab) => {
      await tab.ask("Tell me much", "slow");
      await until(async () => expect((await tab.text()).length).toBeGreaterThan(400));
      await gateway.end("SIGKILL");
      await tab.page.getByText("The connection was lost. Trying again…").waitFor();
      await gateway.start();
      const traceId = await tab.ended("interrupted");
      expect(await gateway.outcome(traceId)).toBe("interrupted");
      expect(await tab.text()).toBe(gateway.text(traceId));
      await expect(tab.answer.innerText()).resolves.toContain("This answer broke off");
      await tab.answer.getByRole("button", { name: "Bad answer" }).click();
      await until(() => expect(gateway.ratings(traceId)).toMatchObject([{ value: "false", valid: 1 }]));
    });
  } finally {
    await gateway.close();
  }
});

/** A gateway that wants keys, and the one that it made by `keys create` with these options. */
async function guarded(...options: string[]): Promise<{ gateway: Gateway; key: string }> {
  let key = "";
  const gateway = await Gateway.start(`${CONFIG}\n[auth]\nrequire_keys = "always"\n`, (made) => {
    const args = options.map((option) => (option === "ORIGIN" ? made.url : option));
    key = (JSON.parse(made.run("keys", "create", "--json", ...args)) as { key: string }).key;
  });
  return { gateway, key };
}

test.concurrent("with a publishable key: chat, rate, reload and the same rater, though the key itself rates nothing", async () => {
  const { gateway, key } = await guarded("--role", "chat", "--publishable", "--origins", "ORIGIN", "--name", "web");
  expect(key).toMatch(/^gw-pk-/);
  try {
    await Tab.on(browser, gateway.url, async (tab) => {
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
    });
  } finally {
    await gateway.close();
  }
});

test.concurrent("where keys are required the app asks for one, and keeps it in its tab", async () => {
  const { gateway, key } = await guarded("--role", "chat", "--name", "browser");
  try {
    await Tab.on(browser, gateway.url, async (tab) => {
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
    });
  } finally {
    await gateway.close();
  }
});

test.concurrent("a page that can't be loaded leaves the bar, says so, and comes with a reload", async () => {
  const gateway = await Gateway.start();
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    let lost = true;
    await page.route(/\/assets\/ChatPage-[^/]*\.js$/, (route) => (lost ? route.abort() : route.continue()));
    await page.goto(gateway.url);
    await page.getByRole("alert").getByText("This page can’t be shown.").waitFor();
    await page.getByRole("button", { name: "Key" }).waitFor();
    lost = false;
    await page.getByRole("button", { name: "Load it again" }).click();
    await page.getByRole("textbox", { name: "Your question" }).waitFor();
  } finally {
    await context.close();
    await gateway.close();
  }
});
