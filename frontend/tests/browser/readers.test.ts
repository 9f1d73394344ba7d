/** The browser's own readers, EventSource and fetch, in Chromium, with a network that breaks in the middle. */

import { readFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CONFIG, Gateway, until } from "../gateway.js";
import { launch, Tab } from "./page.js";
import { Network } from "./proxy.js";

const MODELS = '[models.talker]\ntargets = ["demo/unicode-300-15ms"]\n';
const PACKAGE = "node_modules/@microsoft/fetch-event-source/lib/esm";

/** What the page has seen, kept in the page. */
interface Seen {
  types: string[];
  text: string;
  traceId: string;
}
declare global {
  interface Window {
    seen: Seen;
    take: (data: string) => void;
  }
}

let browser: Browser;
let gateway: Gateway;
beforeAll(async () => {
  [browser, gateway] = await Promise.all([launch(), Gateway.start(CONFIG + MODELS)]);
});
afterAll(async () => {
  await browser?.close();
  await gateway?.close();
});

const collect = () => {
  window.seen = { types: [], text: "", traceId: "" };
  window.take = (data) => {
    const event = JSON.parse(data) as { type: string; content?: string; trace_id?: string };
    if (event.type === "token") window.seen.text += event.content;
    window.seen.types.push(event.type);
    window.seen.traceId = event.trace_id ?? window.seen.traceId;
  };
};

/** Begin `read` in the page, cut the network amid the answer, and wait for the end: each word came once. */
async function cutAmid(read: (tab: Tab) => Promise<unknown>): Promise<void> {
  const network = await Network.to(gateway.port);
  try {
    await Tab.on(browser, network.url, async (tab) => {
      const seen = () => tab.page.evaluate(() => window.seen);
      await tab.page.evaluate(collect);
      await read(tab);
      await until(async () => expect((await seen()).text.length).toBeGreaterThan(50));
      network.cut();
      network.mend();
      await until(async () => expect((await seen()).types).toContain("done"));
      const { types, text, traceId } = await seen();
      expect(types.filter((type) => type === "start" || type === "done")).toEqual(["start", "done"]);
      expect(text).toBe(gateway.text(traceId));
      expect(await gateway.outcome(traceId)).toBe("complete");
    });
  } finally {
    await network.close();
  }
}

const ASK = { method: "POST", headers: { "Content-Type": "application/json" } };
const body = (id: string) => JSON.stringify({ message: "Tell me much", model: "talker", client_request_id: id });

test.concurrent("EventSource reads a stream by its trace, and comes back by itself", async () => {
  const reply = await fetch(`${gateway.url}/chat/stream`, { ...ASK, body: body("es") });
  const traceId = reply.headers.get("x-trace-id")!;
  await reply.body!.cancel();
  await cutAmid((tab) =>
    tab.page.evaluate((path) => {
      const source = new EventSource(path);
      source.addEventListener("message", ({ data }) => window.take(data as string));
      source.addEventListener("done", ({ data }) => {
        window.take(data as string);
        source.close();
      });
    }, `/chat/stream/${traceId}`),
  );
});

test.concurrent("fetch and a few lines read a stream, and take it up again", async () => {
  await cutAmid((tab) =>
    tab.page.evaluate(
      ([init, sent]) => {
        const read = async (path: string, options: RequestInit): Promise<void> => {
          let after = "0";
          try {
            const reply = await fetch(path, options);
            let rest = "";
            const decoder = new TextDecoder();
            const reader = reply.body!.getReader();
            for (;;) {
              const { done, value } = await reader.read();
              if (done) return;
              const frames = (rest + decoder.decode(value, { stream: true })).split("\n\n");
              rest = frames.pop()!;
              for (const frame of frames) {
                const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(frame)?.[1];
                window.take(field("data")!);
                after = field("id")!;
              }
            }
          } catch {
            await read(`/chat/stream/${window.seen.traceId}?after=${after}`, {});
          }
        };
        void read("/chat/stream", { ...init, body: sent });
      },
      [ASK, body("fetch")] as const,
    ),
  );
});

test.concurrent("@microsoft/fetch-event-source sends its POST again, and gets the rest", async () => {
  const source = ["parse", "fetch"].map((name) => readFileSync(`${PACKAGE}/${name}.js`, "utf8")).join("\n");
  const script = source.replace(/^import .*$/gm, "").replace(/^export /gm, "");
  await cutAmid(async (tab) => {
    const init = JSON.stringify({ ...ASK, body: body("fes") });
    const options = `{ ...${init}, onmessage: ({ data }) => window.take(data), onerror: () => 50 }`;
    await tab.page.evaluate(`(() => { ${script}\n void fetchEventSource("/chat/stream", ${options}); })()`);
  });
});
