/**
 * Server-sent events out of bytes that are cut anywhere, also inside a character.
 * Format: the WHATWG HTML standard, section "Server-sent events"; `retry` and `event` mean nothing here.
 */

import type { ServerEvent, StreamEvent } from "./events.js";

/** Make a parser. Each call takes bytes and returns the events that they complete. */
export function sseParser(): (bytes: Uint8Array) => StreamEvent[] {
  const decoder = new TextDecoder();
  let rest = "";
  return (bytes) => {
    rest += decoder.decode(bytes, { stream: true });
    // A CR at the end may be the first half of a line end.
    const held = rest.endsWith("\r") ? "\r" : "";
    const frames = rest.slice(0, rest.length - held.length).replace(/\r\n?/g, "\n").split("\n\n");
    rest = (frames.pop() ?? "") + held;
    return frames.flatMap((frame) => parseFrame(frame) ?? []);
  };
}

function parseFrame(frame: string): StreamEvent | null {
  let data = "";
  let seq = 0;
  for (const line of frame.split("\n")) {
    const [, name, value = ""] = /^(\w+)(?:: ?([^]*))?$/.exec(line) ?? [];
    if (name === "data") data += (data && "\n") + value;
    else if (name === "id") seq = Number(value);
  }
  return data ? { ...(JSON.parse(data) as ServerEvent), seq } : null;
}
