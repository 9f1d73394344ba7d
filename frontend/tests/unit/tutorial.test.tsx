/** The component of common tutorials, unchanged: it reads `data: ` lines, switches on `type`, and rates after `done`. */

import { cleanup, fireEvent, render, screen, waitFor } from "../react.js";
import { useState } from "react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Gateway } from "../gateway.js";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await Gateway.start();
});
afterAll(() => gateway.close());
afterEach(cleanup);

function ChatWithFeedback({ api }: { api: string }) {
  const [response, setResponse] = useState("");
  const [traceId, setTraceId] = useState<string | null>(null);
  const [sent, setSent] = useState(false);

  const sendMessage = async (message: string) => {
    const reply = await fetch(`${api}/chat/stream`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ message }),
    });
    const reader = reply.body!.getReader();
    const decoder = new TextDecoder();
    let buffer = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      buffer += decoder.decode(value, { stream: true });
      const lines = buffer.split("\n");
      buffer = lines.pop() ?? "";
      for (const line of lines) {
        if (!line.startsWith("data: ")) continue;
        const data = JSON.parse(line.slice(6)) as { type: string; content: string; trace_id: string };
        switch (data.type) {
          case "token":
            setResponse((text) => text + data.content);
            break;
          case "done":
            setTraceId(data.trace_id);
            break;
        }
      }
    }
  };

  const submitFeedback = async (isCorrect: boolean, comment: string | null = null) => {
    const reply = await fetch(`${api}/feedback?trace_id=${traceId}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ is_correct: isCorrect, comment }),
    });
    setSent(reply.ok);
  };

  return (
    <div>
      <button onClick={() => void sendMessage("Hello!")}>Send</button>
      <p data-testid="response">{response}</p>
      <button disabled={!traceId} onClick={() => void submitFeedback(true)}>
        Helpful
      </button>
      {sent && <p>Thank you</p>}
    </div>
  );
}

test("it streams, enables its button with `done`, and rates", async () => {
  render(<ChatWithFeedback api={gateway.url} />);
  const button = screen.getByText<HTMLButtonElement>("Helpful");
  expect(button.disabled).toBe(true);
  fireEvent.click(screen.getByText("Send"));
  await waitFor(() => expect(button.disabled).toBe(false));
  const { trace_id } = gateway.traces()[0]!;
  expect(screen.getByTestId("response").textContent).toBe(gateway.text(trace_id));
  fireEvent.click(button);
  await screen.findByText("Thank you");
  expect(gateway.ratings(trace_id)).toMatchObject([{ name: "user_feedback", value: "true", valid: 1 }]);
});
