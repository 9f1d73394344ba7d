/** The README's example, as it stands, in an empty Vite app, with the built package. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createServer } from "vite";
import { expect, test } from "vitest";
import { Gateway, until } from "../gateway.js";
import { launch, Tab } from "./page.js";

const HERE = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

test("a streaming chat with thumbs, in under 15 lines", async () => {
  const example = /```tsx\n([^]*?)```/.exec(readFileSync(join(HERE, "README.md"), "utf8"))?.[1] ?? "";
  expect(example.split("\n").filter((line) => line.trim()).length).toBeLessThan(15);
  const root = join(HERE, "node_modules/.readme-app");
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "index.html"), '<div id="root"></div><script type="module" src="/main.tsx"></script>');
  writeFileSync(join(root, "App.tsx"), example);
  writeFileSync(
    join(root, "main.tsx"),
    'import { createRoot } from "react-dom/client";\nimport App from "./App";\ncreateRoot(document.getElementById("root")!).render(<App />);',
  );
  const gateway = await Gateway.start();
  const target = { target: gateway.url };
  const proxy = { "/chat": target, "/feedback": target };
  const alias = [{ find: /^feedback-gateway-react\/react$/, replacement: join(HERE, "dist/react.js") }];
  const dedupe = ["react", "react-dom"];
  const vite = await createServer({
    root,
    configFile: false,
    logLevel: "error",
    resolve: { alias, dedupe },
    oxc: { jsx: { runtime: "automatic" } },
    server: { port: 0, host: "127.0.0.1", proxy, hmr: false, ws: false },
  });
  await vite.listen();
  const browser = await launch();
  const url = vite.resolvedUrls?.local[0] ?? "";
  try {
    await Tab.on(browser, url, async (tab) => {
      await tab.page.getByLabel("Question").fill("hello");
      await tab.page.getByLabel("Question").press("Enter");
      const thumb = tab.page.getByRole("button", { name: "Good answer" });
      await thumb.click();
      await until(() => expect(gateway.traces()[0]?.outcome).toBe("complete"));
      const { trace_id } = gateway.traces()[0]!;
      await until(() => expect(gateway.ratings(trace_id)).toMatchObject([{ value: "true", valid: 1 }]));
      await until(async () => expect(await tab.page.innerText("#root")).toContain(gateway.text(trace_id)));
    });
  } finally {
    await browser.close();
    await vite.close();
    await gateway.close();
    rmSync(root, { recursive: true, force: true });
  }
});
