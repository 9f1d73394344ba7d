/** Which page an address is: the app's first one has what no other page has. */

import { expect, test } from "vitest";
import { findPage, PAGES } from "../../app/pages.js";

test.each([
  ["/", ""],
  ["/c/session%2F1", "c/session%2F1"],
  ["/nowhere/at/all", "nowhere/at/all"],
])("%s is the chat, which gets all of it", (path, rest) => {
  expect(findPage(path)).toEqual({ page: PAGES[0], rest });
});

test("each page has an address of its own", () => {
  const paths = PAGES.map((page) => page.path);
  expect(new Set(paths).size).toBe(paths.length);
  for (const page of PAGES) expect(findPage(`/${page.path}`).page).toBe(page);
});
