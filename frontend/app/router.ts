/** The address: a path after the `#`, since the gateway serves one page for all. Which page it is, pages.ts knows. */

import { useSyncExternalStore } from "react";

/** The path as it is in the address, such as `/c/ID`; `/` where there is none. */
export function usePath(): string {
  return useSyncExternalStore(subscribe, () => location.hash.replace(/^#?\/?/, "/"));
}

/** Go to a path; `replace` leaves no way back to the one before. */
export function go(path: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", `#${path}`);
  else history.pushState(null, "", `#${path}`);
  dispatchEvent(new HashChangeEvent("hashchange")); // these two tell nobody
}

function subscribe(changed: () => void): () => void {
  addEventListener("hashchange", changed);
  return () => removeEventListener("hashchange", changed);
}
