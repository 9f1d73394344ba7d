/** What isn't text, through the AI SDK's own hook, versions 6 and 7: shown as its parts, and sent back with them. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { act, cleanup, renderHook } from "../react.js";
import * as react6 from "ai-sdk-react-6";
import * as ai6 from "ai-6";
import * as react7 from "@ai-sdk/react";
import * as ai7 from "ai";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Gateway } from "../gateway.js";

const BLOCK = { type: "reasoning.text", text: "hm", signature: "S", index: 0 };
const PICTURE = "data:image/png;base64,AA";
const CALL = { index: 0, id: "c1", type: "function", function: { name: "weather", arguments: { city: "Oslo" } } };
const SIGNED = { ...CALL, extra_content: { google: { thought_signature: "T" } } };

/** Deltas of each answer, and the messages that the provider was sent for it. */
let answers: object[][] = [];
const asked: { role: string; [field: string]: unknown }[][] = [];
let provider: Server;
let gateway: Gateway;

beforeAll(async () => {
  provider = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    asked.push(JSON.parse(body).messages);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const send = (delta: object, finish_reason: string | null = null) =>
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason }] })}\n\n`);
    for (const delta of answers.shift() ?? []) send(delta);
    send({}, "stop");
    response.end("data: [DONE]\n\n");
  });
  await new Promise<void>((done) => provider.listen(0, "127.0.0.1", done));
  const { port } = provider.address() as AddressInfo;
  gateway = await Gateway.start(`
[models.default]
targets = ["own/m"]
[providers.own]
kind = "openai"
base_url = "http://127.0.0.1:${port}/v1"
`);
});
afterAll(async () => {
  await gateway?.close();
  provider?.close();
});
afterEach(cleanup);

describe.each([
  ["6", react6 as unknown as typeof react7, ai6 as unknown as typeof ai7],
  ["7", react7, ai7],
])("ai %s", (version, { useChat }, { DefaultChatTransport }) => {
  const open = (id: string) => {
    const transport = new DefaultChatTransport({ api: `${gateway.url}/api/chat` });
    return renderHook(() => useChat({ id: `${id}-${version}`, transport })).result;
  };

  test("reasoning, pictures and sources are parts, and thoughts come back with the next message", async () => {
    answers = [
      [
        { reasoning_details: [BLOCK], reasoning: "hm" },
        { content: "It is " },
        { images: [{ type: "image_url", image_url: { url: PICTURE } }] },
        { content: "42", annotations: [{ type: "url_citation", url_citation: { url: "https://a.example", title: "A" } }] },
        { audio: { transcript: "!" } },
        { refusal: "?" },
      ],
      [{ content: "Yes." }],
    ];
    const chat = open("parts");
    await act(() => chat.current.sendMessage({ text: "one" }));
    expect(chat.current).toMatchObject({ status: "ready", error: undefined });
    const parts = chat.current.messages.at(-1)!.parts;
    expect(parts.map((part) => part.type)).toEqual(["step-start", "reasoning", "text", "file", "source-url"]);
    expect(parts[1]).toMatchObject({ text: "hm", state: "done" });
    expect(parts[2]).toMatchObject({ text: "It is 42!?", state: "done" });
    expect(parts[3]).toMatchObject({ url: PICTURE, mediaType: "image/png" });
    expect(parts[4]).toMatchObject({ url: "https://a.example", title: "A" });
    await act(() => chat.current.sendMessage({ text: "two" }));
    expect(chat.current.error).toBeUndefined();
    expect(asked.at(-1)![1]).toEqual({
      role: "assistant",
      content: "It is 42!?",
      reasoning: "hm",
      reasoning_details: [BLOCK],
    });
  });

  test("a tool's result goes back with the signature of its call", async () => {
    answers = [[{ reasoning_content: "hm" }, { tool_calls: [SIGNED] }], [{ content: "Sunny." }]];
    const chat = open("tools");
    await act(() => chat.current.sendMessage({ text: "weather?" }));
    const part = chat.current.messages.at(-1)!.parts.at(-1)!;
    expect(part).toMatchObject({ type: "tool-weather", state: "input-available", input: { city: "Oslo" } });
    await act(async () => {
      await chat.current.addToolOutput({ tool: "weather", toolCallId: "c1", output: "sun" });
    });
    await act(() => chat.current.sendMessage());
    expect(chat.current.error).toBeUndefined();
    const call = { ...SIGNED, index: undefined, function: { name: "weather", arguments: '{"city":"Oslo"}' } };
    expect(asked.at(-1)!.slice(1)).toEqual([
      { role: "assistant", content: null, reasoning_content: "hm", tool_calls: [call] },
      { role: "tool", tool_call_id: "c1", content: "sun" },
    ]);
  });
});
