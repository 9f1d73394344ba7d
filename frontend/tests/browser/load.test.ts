/** Much at once, and hostile text: the page stays quick, runs nothing, and loads nothing from outside. */

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
  others: number;
  longest: number;
}

test("10,000 tokens at full speed: at most one render a frame, and the page stays responsive", async () => {
  const gateway = await Gateway.start();
  const tab = await Tab.open(browser, gateway.url);
  try {
    await tab.ask("hello");
    await tab.ended();
    await tab.choose("fast");
    await tab.page.evaluate(() => {
      const watch = { frames: 0, renders: 0, others: 0, longest: 0 };
      (globalThis as unknown as { watch: Watch }).watch = watch;
      const frame = () => {
        watch.frames += 1;
        requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
      const first = document.querySelector("article.answer");
      const column = document.querySelector(".column");
      // One call for all changes of one render: React changes the page in one go.
      new MutationObserver(() => (watch.renders += 1)).observe(column!, { subtree: true, childList: true, characterData: true });
      new MutationObserver(() => (watch.others += 1)).observe(first!.querySelector(".markdown")!, { subtree: true, childList: true, characterData: true, attributes: true });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) watch.longest = Math.max(watch.longest, entry.duration);
      }).observe({ type: "longtask" });
    });
    await tab.ask("much");
    await until(async () => expect(await tab.answers.count()).toBe(2));
    const traceId = await tab.ended();
    const watch = await tab.page.evaluate(() => (globalThis as unknown as { watch: Watch }).watch);
    console.log(`10,000 tokens: ${watch.renders} renders in ${watch.frames} frames, longest task ${watch.longest ? `${watch.longest} ms` : "below 50 ms"}`);
    expect((await tab.text()).split(" ")).toHaveLength(10_000);
    expect(await tab.text()).toBe(gateway.text(traceId));
    expect(watch.renders).toBeLessThanOrEqual(watch.frames + 3); // the question, the empty answer, the end
    expect(watch.others).toBe(0);
  } finally {
    await tab.close();
    await gateway.close();
  }
});

const HOSTILE = [
  "# Hello <script>document.title = 'owned'</script>",
  '<img src="http://evil.example/x.png" onerror="document.title=\'owned\'">',
  "![pixel](http://evil.example/pixel.png) ![data](data:image/svg+xml,<svg/onload=alert(1)>)",
  "[click](javascript:document.title='owned') [also](JaVaScRiPt:alert(1)) [data](data:text/html,<script>1</script>) [file](file:///etc/passwd) [good](https://good.example/)",
  "<iframe src='http://evil.example'></iframe><style>*{display:none}</style><base href='http://evil.example/'>",
  "<a href='javascript:alert(1)'>x</a> <svg onload=alert(1)> <form action=http://evil.example><input name=q></form>",
  "**never closed [a](b `c\n\n```js\nlet never = 'closed';",
];

test("hostile output runs nothing, loads nothing, and stays readable", async () => {
  const provider = await Provider.start();
  provider.answers.set("hostile", HOSTILE.map((text) => `${text}\n\n`));
  provider.answers.set("rtl", ["مرحبا بالعالم \u202e evil \u202c שלום\n\n", "- واحد\n- اثنان\n"]);
  const gateway = await Gateway.start(provider.config("hostile", "rtl"));
  const tab = await Tab.open(browser, gateway.url);
  try {
    await tab.ask("attack", "hostile");
    await tab.ended();
    const found = await tab.page.evaluate(() => ({
      title: document.title,
      tags: document.querySelectorAll(".answer :is(script, iframe, style, base, form, img, object, embed, link)").length,
      links: [...document.querySelectorAll<HTMLAnchorElement>(".markdown a")].map((link) => [link.href, link.rel, link.target]),
      shown: document.querySelector<HTMLElement>(".markdown")?.innerText ?? "",
    }));
    expect(found.title).toBe("Feedback Gateway");
    expect(found.tags).toBe(0);
    expect(found.links.map(([href]) => href)).toContain("https://good.example/");
    for (const [href, rel, target] of found.links) {
      expect(href).toMatch(/^https?:/);
      expect([rel, target]).toEqual(["noopener noreferrer nofollow", "_blank"]);
    }
    for (const text of ["Hello", "[image: pixel]", "click", "let never = 'closed';"]) expect(found.shown).toContain(text);

    await tab.ask("right to left", "rtl");
    await until(async () => expect(await tab.answers.count()).toBe(2));
    await tab.ended();
    await expect(tab.answer.locator(".markdown").evaluate((box) => getComputedStyle(box).direction)).resolves.toBe("rtl");
    expect(tab.outside).toEqual([]);
    expect(tab.problems).toEqual([]);
  } finally {
    await tab.close();
    await gateway.close();
    await provider.close();
  }
});

test("a megabyte of text is shown, in one block or in many, and the page can still be used", async () => {
  const provider = await Provider.start();
  provider.answers.set("block", Array.from({ length: 64 }, () => "x*[`_".repeat(3277)));
  provider.answers.set("blocks", Array.from({ length: 5000 }, (_, i) => `Paragraph **${i}** ${"word ".repeat(38)}\n\n`));
  const gateway = await Gateway.start(provider.config("block", "blocks"));
  const tab = await Tab.open(browser, gateway.url);
  try {
    for (const [count, model] of [[1, "block"], [2, "blocks"]] as const) {
      const began = Date.now();
      await tab.ask("much", model);
      await until(async () => expect(await tab.answers.count()).toBe(count), 60_000);
      const traceId = await tab.ended();
      const { length } = gateway.text(traceId);
      expect(length).toBeGreaterThan(1_000_000);
      console.log(`${model}: ${length} characters after ${Date.now() - began} ms`);
    }
    const began = Date.now();
    await tab.question.fill("still there");
    console.log(`then typing took ${Date.now() - began} ms`);
    expect(tab.problems).toEqual([]);
  } finally {
    await tab.close();
    await gateway.close();
    await provider.close();
  }
});
