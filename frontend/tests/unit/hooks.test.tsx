/** The hooks and components, in StrictMode, against a real gateway. */

import { act, cleanup, fireEvent, render, screen, waitFor } from "../react.js";
import { memo, StrictMode } from "react";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ChatMessage } from "../../src/index.js";
import {
  FeedbackButtons,
  FeedbackDialog,
  useFeedback,
  useStreamingChat,
  type UseFeedback,
  type UseStreamingChat,
} from "../../src/react.js";
import { Gateway } from "../gateway.js";

let gateway: Gateway;
beforeAll(async () => {
  gateway = await Gateway.start();
});
afterAll(() => gateway.close());
afterEach(cleanup);

let chat: UseStreamingChat;
let feedback: UseFeedback;
const rendered: Record<string, number> = {};

const Row = memo(function Row({ message }: { message: ChatMessage }) {
  rendered[message.id] = (rendered[message.id] ?? 0) + 1;
  return <p>{message.text}</p>;
});

function Page({ model = "default", sessionId }: { model?: string; sessionId?: string }) {
  chat = useStreamingChat({ api: gateway.url, model, ...(sessionId ? { sessionId } : {}) });
  return chat.messages.map((message) => <Row key={message.id} message={message} />);
}

function Rate({ traceId }: { traceId: string }) {
  feedback = useFeedback(traceId, { api: gateway.url });
  return (
    <>
      <FeedbackButtons feedback={feedback} />
      <FeedbackDialog feedback={feedback} open onClose={() => {}} dimensions={{ accuracy: { min: 1, max: 5 }, tone: { options: ["right"] } }} />
    </>
  );
}

const newest = () => chat.messages.at(-1)!;
const strict = (page: React.ReactNode) => render(<StrictMode>{page}</StrictMode>);
const idle = () => waitFor(() => expect(chat.status).toBe("ready"));

test("StrictMode: one question is one trace, and none is asked by mounting", async () => {
  const before = gateway.traces().length;
  strict(<Page />);
  expect(gateway.traces()).toHaveLength(before);
  await act(() => chat.sendMessage("hello"));
  expect(gateway.traces()).toHaveLength(before + 1);
  expect(screen.getByText(newest().text)).toBeTruthy();
});

test("the functions stay the same ones", async () => {
  strict(<Page />);
  const { sendMessage, stop, regenerate, resume, clearError } = chat;
  await act(() => chat.sendMessage("hello"));
  expect(chat).toMatchObject({ sendMessage, stop, regenerate, resume, clearError });
});

test("a message that doesn't change doesn't render again", async () => {
  strict(<Page model="unicode" />);
  await act(() => chat.sendMessage("one"));
  const first = newest().id;
  const before = rendered[first];
  await act(() => chat.sendMessage("two"));
  expect(rendered[first]).toBe(before);
});

test("the page that goes lets go of its answer", async () => {
  const page = strict(<Page model="slow" />);
  act(() => void chat.sendMessage("hello"));
  await waitFor(() => expect(chat.messages.at(-1)?.text).toBeTruthy());
  const traceId = newest().traceId!;
  page.unmount();
  expect(await gateway.outcome(traceId)).toBe("disconnected");
});

test("a session is shown again, also under StrictMode, and another one in its place", async () => {
  strict(<Page />);
  await act(() => chat.sendMessage("hello"));
  const session = chat.sessionId!;
  const text = newest().text;
  cleanup();
  const page = strict(<Page sessionId={session} />);
  await waitFor(() => expect(chat.messages).toHaveLength(2));
  expect(newest().text).toBe(text);
  page.rerender(<StrictMode><Page sessionId="another" /></StrictMode>);
  expect(chat.messages).toEqual([]);
  await waitFor(() => expect(chat.error?.status).toBe(404));
});

test("thumbs: pressed, changed, taken back, with one message for screen readers", async () => {
  strict(<Page />);
  await act(() => chat.sendMessage("hello"));
  const traceId = newest().traceId!;
  cleanup();
  strict(<Rate traceId={traceId} />);
  const up = screen.getByRole("button", { name: "Good answer" });
  const down = screen.getByRole("button", { name: "Bad answer" });
  fireEvent.click(up);
  expect(up.getAttribute("aria-pressed")).toBe("true");
  await screen.findByText("Feedback saved");
  fireEvent.click(down);
  expect([up, down].map((button) => button.getAttribute("aria-pressed"))).toEqual(["false", "true"]);
  await waitFor(() => expect(feedback.state).toBe("saved"));
  fireEvent.click(down);
  await waitFor(() => expect(feedback.state).toBe("saved"));
  expect(gateway.ratings(traceId).filter((rating) => rating.valid)).toEqual([]);
  await idle();
});

test("the dialog sends what was chosen", async () => {
  strict(<Page />);
  await act(() => chat.sendMessage("hello"));
  const traceId = newest().traceId!;
  cleanup();
  strict(<Rate traceId={traceId} />);
  const send = screen.getByText<HTMLButtonElement>("Send");
  expect(send.disabled).toBe(true);
  fireEvent.click(screen.getByLabelText("4"));
  fireEvent.click(screen.getByLabelText("right"));
  fireEvent.change(screen.getByLabelText("Comment"), { target: { value: "fine" } });
  fireEvent.click(send);
  await waitFor(() => expect(feedback.state).toBe("saved"));
  const stored = gateway.ratings(traceId).map(({ name, value, rationale }) => [name, value, rationale]);
  expect(stored).toEqual([["user_accuracy", "0.8", "fine"], ["user_tone", '"right"', null]]);
});
