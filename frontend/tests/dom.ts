/** A DOM for tests in Node; import it first. The network stays Node's own: the streams under test are real ones. */

import { Window } from "happy-dom";

const window = new Window({ url: "http://127.0.0.1/" });
const names = new Set([...Object.getOwnPropertyNames(window), "addEventListener", "removeEventListener", "dispatchEvent"]);
for (const name of names) {
  if (name in globalThis && name !== "navigator") continue;
  const value = (window as unknown as Record<string, unknown>)[name];
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
Object.assign(globalThis, { window, Event: window.Event });
