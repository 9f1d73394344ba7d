/** The queue: what comes is handed on together, in order, at most once a frame. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { frameQueue } from "../../src/core/frames.js";

let frames: (() => void)[];
let delivered: number[][];
const queue = () => frameQueue<number>((items) => delivered.push(items));
const nextFrame = () => frames.splice(0).forEach((run) => run());

beforeEach(() => {
  frames = [];
  delivered = [];
  vi.useFakeTimers();
  vi.stubGlobal("requestAnimationFrame", (run: () => void) => frames.push(run));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("what comes within a frame is handed on together, with the frame", () => {
  const { push } = queue();
  push([1]);
  push([2, 3]);
  expect(delivered).toEqual([]);
  nextFrame();
  expect(delivered).toEqual([[1, 2, 3]]);
});

test("what comes later waits for the next frame", () => {
  const { push } = queue();
  push([1]);
  nextFrame();
  push([2]);
  expect(delivered).toEqual([[1]]);
  nextFrame();
  expect(delivered).toEqual([[1], [2]]);
});

test("a tab that isn't shown, which has no frames, is served all the same", () => {
  const { push } = queue();
  push([1]);
  vi.advanceTimersByTime(100);
  expect(delivered).toEqual([[1]]);
});

test("a flush hands on at once, and nothing twice", () => {
  const { push, flush } = queue();
  push([1]);
  flush();
  nextFrame();
  vi.advanceTimersByTime(1000);
  flush();
  expect(delivered).toEqual([[1]]);
});
