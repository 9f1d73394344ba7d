/**
 * Three groups: `unit` (parts, hooks, a real gateway), `aisdk` (the AI SDK's own clients), `browser` (real Chromium).
 * BUILT=1 runs them on the built package instead of the source.
 */

import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

const built = [{ find: /^.*\/src\/(index|react)\.js$/, replacement: `${resolve("dist")}/$1.js` }];

const project = (name: string, timeout: number) => ({
  resolve: { alias: process.env.BUILT ? built : [] },
  test: {
    name,
    include: [`tests/${name}/**/*.test.{ts,tsx}`],
    testTimeout: timeout,
    hookTimeout: 60_000,
  },
});

export default defineConfig({
  test: {
    fileParallelism: false,
    projects: [project("unit", 20_000), project("aisdk", 30_000), project("browser", 90_000)],
  },
});
