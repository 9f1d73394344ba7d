/** Hostile text from a model: the page runs nothing, loads nothing from outside, and stays readable. */

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
  try {
    await Tab.on(browser, gateway.url, async (tab) => {
      await tab.ask("attack", "hostile");
      await tab.ended();
      const found = await tab.page.evaluate(() => ({
        title: document.title,
        tags: document.querySelectorAll("article[aria-label=Answer] :is(script, iframe, style, base, form, img, object, embed, link)").length,
        links: [...document.querySelectorAll<HTMLAnchorElement>("[data-testid=answer-text] a")].map((link) => [link.href, link.rel, link.target]),
        shown: document.querySelector<HTMLElement>("[data-testid=answer-text]")?.innerText ?? "",
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
      await expect(tab.answer.getByTestId("answer-text").evaluate((box) => getComputedStyle(box).direction)).resolves.toBe("rtl");
    });
  } finally {
    await gateway.close();
    await provider.close();
  }
});
