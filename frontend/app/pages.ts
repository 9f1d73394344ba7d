/** The app's pages. Each is a folder with a component of its own, loaded when it is first shown: one line adds one. */

import { lazy, type ComponentType } from "react";

export interface PageProps {
  /** The address below the page's own: `ID` on `#/traces/ID`. */
  rest: string;
}

interface Page {
  /** The first part of its address: `traces` is `#/traces`. The first page has none, and what no other page has. */
  path: string;
  label: string;
  /** An SVG path of strokes in 24 by 24. */
  icon: string;
  Page: ComponentType<PageProps>;
}

const CHAT =
  "M5 5.5h14a1.5 1.5 0 0 1 1.5 1.5v8a1.5 1.5 0 0 1-1.5 1.5h-7L7.5 20v-3.5H5A1.5 1.5 0 0 1 3.5 15V7A1.5 1.5 0 0 1 5 5.5Z";

export const PAGES: readonly [Page, ...Page[]] = [
  { path: "", label: "Chat", icon: CHAT, Page: lazy(() => import("./chat/ChatPage")) },
];

/** Find the page of an address such as `/traces/ID`, and what of the address is left for it. */
export function findPage(path: string): { page: Page; rest: string } {
  const [, first = "", below = ""] = /^\/([^/]*)\/?(.*)$/.exec(path) ?? [];
  const page = PAGES.find((each) => each.path === first);
  return page ? { page, rest: below } : { page: PAGES[0], rest: path.slice(1) };
}
