/** The parser: any cut, any line end. */

import { expect, test } from "vitest";
import { sseParser } from "../../src/index.js";

const EVENTS = [
  { type: "start", trace_id: "tr-1", session_id: "s", model: "m", seq: 1 },
  { type: "token", content: "Grüße 🌍 日本 👩‍👩‍👧 \\ \" \n end", seq: 9 },
  { type: "error", error: "kaputt", code: "x", retryable: false, seq: 10 },
];

function stream(end: string): Uint8Array {
  const frames = EVENTS.map(({ seq, ...event }) => `event: any${end}id: ${seq}${end}data: ${JSON.stringify(event)}${end}${end}`);
  return new TextEncoder().encode(`: connected${end}${frames[0]}: heartbeat${end}${frames.slice(1).join("")}`);
}

test.each(["\n", "\r\n", "\r"])("a split at every byte gives the same events (line end %j)", (end) => {
  const bytes = stream(end);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const parse = sseParser();
    const seen = [...parse(bytes.subarray(0, cut)), ...parse(bytes.subarray(cut))];
    // A CR at the very end may still become a CRLF: the next byte, such as a heartbeat's, brings the event out.
    expect([...seen, ...parse(new TextEncoder().encode(":"))]).toEqual(EVENTS);
  }
});

test("one byte at a time", () => {
  const parse = sseParser();
  expect([...stream("\n")].flatMap((byte) => parse(Uint8Array.of(byte)))).toEqual(EVENTS);
});

test("data over several lines is joined, and a colon may go without its space", () => {
  const parse = sseParser();
  const text = 'id:3\ndata:{"type":"token",\ndata: "content":"a"}\n\n';
  expect(parse(new TextEncoder().encode(text))).toEqual([{ type: "token", content: "a", seq: 3 }]);
});
