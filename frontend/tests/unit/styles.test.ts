/** CSS modules and their components: no class is asked for that isn't there, and none is there for nobody. */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const APP = resolve(dirname(fileURLToPath(import.meta.url)), "../../app");
const files = readdirSync(APP, { recursive: true, encoding: "utf8" }).map((name) => join(APP, name));
const read = (path: string) => readFileSync(path, "utf8");
const sorted = (names: Iterable<string>) => [...new Set(names)].sort();

/** The classes that the components ask a stylesheet for, each as `name.class` of its import. */
function asked(sheet: string): string[] {
  return files
    .filter((path) => path.endsWith(".tsx"))
    .flatMap((path) => {
      const source = read(path);
      return [...source.matchAll(/import (\w+) from "(\..*\.module\.css)"/g)]
        .filter(([, , from = ""]) => resolve(dirname(path), from) === sheet)
        .flatMap(([, name = ""]) => [...source.matchAll(new RegExp(`(?<!/)\\b${name}\\.(\\w+)`, "g"))].map(([, used = ""]) => used));
    });
}

test.each(files.filter((path) => path.endsWith(".module.css")).map((path) => [path.slice(APP.length + 1), path]))(
  "%s has what its components ask for, and nothing else",
  (_name, path) => {
    const css = read(path).replace(/\/\*[^]*?\*\/|:global\([^)]*\)/g, "");
    const selectors = [...css.matchAll(/[^{};]*(?=\{)/g)].map(([text]) => text);
    const defined = selectors.flatMap((text) => [...text.matchAll(/\.([A-Za-z]\w*)/g)].map(([, name = ""]) => name));
    expect(sorted(asked(path))).toEqual(sorted(defined));
  },
);
