/**
 * Three groups: `unit` (parts, hooks, a real gateway), `aisdk` (the AI SDK's own clients), `browser` (real Chromium).
 * BUILT=1 runs them on the built package instead of the source, REACT=18 with React 18.
 */

import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

const built = [{ find: /^.*\/src\/(index|react)\.js$/, replacement: `${resolve("dist")}/$1.js` }];
const library = "node_modules/@testing-library/react/dist/@testing-library/react.esm.js"; // its CommonJS takes no alias
const react18 = [
  { find: "@testing-library/react", replacement: resolve(library) },
  { find: /^(react|react-dom)(\/.*)?$/, replacement: `${resolve("tests/react18/node_modules")}/$1$2` },
];
const older = process.env.REACT === "18";

const project = (name: string, timeout: number) => ({
  resolve: { alias: [...(process.env.BUILT ? built : []), ...(older ? react18 : [])] },
  test: {
    name,
    include: [`tests/${name}/**/*.test.{ts,tsx}`],
    testTimeout: timeout,
    hookTimeout: 60_000,
    // What is inlined gets the aliases as well.
    ...(older ? { server: { deps: { inline: [/@testing-library/] } } } : {}),
  },
});

export default defineConfig({
  test: {
    fileParallelism: false,
    projects: [project("unit", 20_000), project("aisdk", 30_000), project("browser", 90_000)],
  },
});
