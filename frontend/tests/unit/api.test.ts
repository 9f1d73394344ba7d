/** The types of the gateway's replies are committed: they are what its OpenAPI document says now. */

import { execFileSync } from "node:child_process";
import { resolve, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const HERE = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

test("src/core/api.ts is up to date", () => {
  expect(() => execFileSync(process.execPath, ["scripts/api.mjs", "--check"], { cwd: HERE })).not.toThrow();
});
