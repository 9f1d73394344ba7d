/** A real Chromium for tests, driven by Playwright. CHROMIUM=… names another one than Debian's. */

import { existsSync } from "node:fs";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { expect } from "vitest";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const WIDE = { width: 1280, height: 820 };
export const NARROW = { width: 390, height: 844 };

type Options = Parameters<Browser["newContext"]>[0];

export async function launch(): Promise<Browser> {
  const found = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
    (path) => path && existsSync(path),
  );
  if (!found) throw new Error("Chromium is missing. On Debian: apt-get install chromium");
  return chromium.launch({ executablePath: found, args: FLAGS });
}

/** A page on its own storage, and what went wrong in it. */
export class Tab {
  readonly problems: string[] = [];
  readonly outside: string[] = [];

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    url: string,
  ) {
    page.on("pageerror", (error) => this.problems.push(String(error)));
    page.on("console", (message) => {
      // A refused request is written to the console by the browser itself.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) this.problems.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(url)) this.outside.push(request.url());
    });
  }

  /** Do it in a fresh page, in which nothing may go wrong, and which may ask nobody but `url`. */
  static async on(browser: Browser, url: string, go: (tab: Tab) => Promise<void>, options: Options = {}): Promise<void> {
    const tab = await Tab.open(browser, url, options);
    try {
      await go(tab);
      expect(tab.problems).toEqual([]);
      expect(tab.outside).toEqual([]);
    } finally {
      await tab.context.close();
    }
  }

  private static async open(browser: Browser, url: string, options: Options): Promise<Tab> {
    const context = await browser.newContext({ viewport: WIDE, permissions: ["clipboard-read", "clipboard-write"], ...options });
    const tab = new Tab(context, await context.newPage(), url);
    tab.page.setDefaultTimeout(90_000);
    await tab.page.goto(url);
    return tab;
  }

  get question() {
    return this.page.getByRole("textbox", { name: "Your question" });
  }

  get answers() {
    return this.page.getByRole("article", { name: "Answer" });
  }

  get answer() {
    return this.answers.last();
  }

  async ask(text: string, model?: string): Promise<void> {
    if (model) await this.choose(model);
    await this.question.fill(text);
    await this.question.press("Enter");
  }

  async choose(model: string): Promise<void> {
    await this.page.getByRole("combobox", { name: "Model" }).click();
    await this.page.getByRole("option", { name: model, exact: true }).click();
  }

  /** The answer's text so far, as it is read. */
  async text(): Promise<string> {
    const markdown = this.answer.getByTestId("answer-text");
    return (await markdown.count()) ? markdown.innerText() : "";
  }

  /** Wait for the end of the newest answer; its trace. */
  async ended(status = "done"): Promise<string> {
    await this.page.locator(`article[aria-label="Answer"]:last-of-type[data-status="${status}"]`).waitFor();
    return (await this.answer.getAttribute("data-trace")) ?? "";
  }
}
