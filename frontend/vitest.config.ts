/**
 * `unit` (parts, hooks, a real gateway) on the source, `built` the same on the built package, `aisdk` (the AI SDK's own
 * clients), `clients` (other people's readers of events) and `browser` (real Chromium) run side by side: they mostly
 * wait. `pace` measures, so it runs alone, last.
 * REACT=18 takes React 18.
 */

import { resolve } from "node:path";
import { configDefaults, defineConfig } from "vitest/config";

const built = [{ find: /^.*\/src\/(index|react)\.js$/, replacement: `${resolve("dist")}/$1.js` }];
const library = "node_modules/@testing-library/react/dist/@testing-library/react.esm.js"; // its CommonJS takes no alias
const react18 = [
  { find: "@testing-library/react", replacement: resolve(library) },
  { find: /^(react|react-dom)(\/.*)?$/, replacement: `${resolve("tests/react18/node_modules")}/$1$2` },
];
const older = process.env.REACT === "18";
const PACE = "tests/browser/pace.test.ts";

const project = (name: string, folder: string, order = 0) => ({
  resolve: { alias: [...(name === "built" ? built : []), ...(older ? react18 : [])] },
  test: {
    name,
    include: name === "pace" ? [PACE] : [`tests/${folder}/**/*.test.{ts,tsx}`],
    exclude: name === "pace" ? [] : [...configDefaults.exclude, PACE],
    sequence: { groupOrder: order },
    testTimeout: 180_000, // for a machine that does much else; none takes ten seconds on one that doesn't
    hookTimeout: 180_000,
    // What is inlined gets the aliases as well.
    ...(older ? { server: { deps: { inline: [/@testing-library/] } } } : {}),
  },
});

export default defineConfig({
  test: {
    maxWorkers: 3,
    maxConcurrency: 4,
    projects: [
      project("unit", "unit"),
      project("built", "unit"),
      project("aisdk", "aisdk"),
      project("clients", "clients"),
      project("browser", "browser"),
      project("pace", "browser", 1),
    ],
  },
});
