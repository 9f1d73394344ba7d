/** The web app. It is built into the Python package, which serves it; `npm run dev` asks a gateway on port 8000. */

import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const gateway = process.env.GATEWAY_URL ?? "http://127.0.0.1:8000";
const ROUTES = ["/chat", "/feedback", "/detailed-feedback", "/sessions", "/traces", "/config", "/v1", "/api", "/me", "/auth", "/people"];

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  build: {
    outDir: fileURLToPath(new URL("../../gateway/web/static", import.meta.url)),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the content security policy allows no data: URLs
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
    rolldownOptions: { onLog: (level, log, handle) => log.code === "MODULE_LEVEL_DIRECTIVE" || handle(level, log) },
  },
  server: { proxy: Object.fromEntries(ROUTES.map((path) => [path, { target: gateway, ws: true }])) },
});
