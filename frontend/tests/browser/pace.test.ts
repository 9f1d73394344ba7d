/** Much at once: the page renders no more than a screen can show, and stays quick. It runs alone, since it measures. */

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Gateway, until } from "../gateway.js";
import { launch, Tab } from "./page.js";
import { Provider } from "./provider.js";

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser?.close());

interface Watch {
  frames: number;
  renders: number;
  /** Frames with more than one render. */
  crowded: number;
  others: number;
  longest: number;
}

/** In the page: count frames, renders of the conversation, changes of its first answer, and the longest task. */
function observe(): void {
  const watch: Watch = { frames: 0, renders: 0, crowded: 0, others: 0, longest: 0 };
  Object.assign(globalThis, { watch });
  let inFrame = 0;
  const frame = () => {
    watch.frames += 1;
    inFrame = 0;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const everything = { subtree: true, childList: true, characterData: true };
  // One call for all changes of one render: React changes the page in one go.
  new MutationObserver(() => {
    watch.renders += 1;
    inFrame += 1;
    if (inFrame === 2) watch.crowded += 1;
  }).observe(document.querySelector("[data-testid=scroll] > div")!, everything);
  new MutationObserver(() => (watch.others += 1)).observe(document.querySelector("[data-testid=answer-text]")!, { ...everything, attributes: true });
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) watch.longest = Math.max(watch.longest, duration);
  }).observe({ type: "longtask" });
}

/** 10,000 tokens: at once, or in many small portions, several of which come between two frames. */
const BURST = Array.from({ length: 10_000 }, (_, i) => `w${i} `);
async function* portions(): AsyncGenerator<string> {
  for (const [i, word] of BURST.entries()) {
    if (i % 20 === 0) await new Promise((done) => setTimeout(done, 2));
    yield word;
  }
}

test.each([
  ["in a burst", BURST],
  ["in portions", portions()],
])("10,000 tokens %s: at most one render a frame, other messages stay, and the page stays responsive", async (how, words) => {
  const provider = await Provider.start();
  provider.answers.set("much", words).set("little", ["Hello!"]);
  const gateway = await Gateway.start(provider.config("little", "much"));
  try {
    await Tab.on(browser, gateway.url, async (tab) => {
      await tab.ask("hello", "little");
      await tab.ended();
      await tab.choose("much");
      await tab.page.evaluate(observe);
      await tab.ask("much");
      await until(async () => expect(await tab.answers.count()).toBe(2));
      const traceId = await tab.ended();
      const watch = await tab.page.evaluate(() => (globalThis as unknown as { watch: Watch }).watch);
      const { renders, frames, crowded, others, longest } = watch;
      console.log(`10,000 tokens ${how}: ${renders} renders in ${frames} frames, longest task ${longest ? `${longest} ms` : "below 50 ms"}`);
      const shown = (await tab.text()).trim();
      expect(shown).toBe(BURST.join("").trim());
      expect(shown).toBe(gateway.text(traceId).trim());
      expect(renders).toBeLessThanOrEqual(frames + 3); // the question, the empty answer, the end
      expect(crowded).toBeLessThanOrEqual(3);
      expect(others).toBe(0);
    });
  } finally {
    await gateway.close();
    await provider.close();
  }
});

test("a megabyte of text is shown, in one block or in many, and the page can still be used", async () => {
  const provider = await Provider.start();
  provider.answers.set("block", Array.from({ length: 64 }, () => "x*[`_".repeat(3277)));
  provider.answers.set("blocks", Array.from({ length: 5000 }, (_, i) => `Paragraph **${i}** ${"word ".repeat(38)}\n\n`));
  const gateway = await Gateway.start(provider.config("block", "blocks"));
  try {
    await Tab.on(browser, gateway.url, async (tab) => {
      for (const [count, model] of [[1, "block"], [2, "blocks"]] as const) {
        const began = Date.now();
        await tab.ask("much", model);
        await until(async () => expect(await tab.answers.count()).toBe(count));
        const traceId = await tab.ended();
        const { length } = gateway.text(traceId);
        expect(length).toBeGreaterThan(1_000_000);
        console.log(`${model}: ${length} characters after ${Date.now() - began} ms`);
      }
      const began = Date.now();
      await tab.question.fill("still there");
      console.log(`then typing took ${Date.now() - began} ms`);
    });
  } finally {
    await gateway.close();
    await provider.close();
  }
});
