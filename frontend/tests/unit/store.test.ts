/** The store: what is in it, and who hears of a change. */

import { expect, test, vi } from "vitest";
import { createStore } from "../../src/core/store.js";

test("it holds what was put into it last", () => {
  const store = createStore(1);
  expect(store.getState()).toBe(1);
  store.setState(2);
  expect(store.getState()).toBe(2);
});

test("who listens hears of a change once it is there", () => {
  const store = createStore("old");
  const heard: string[] = [];
  store.subscribe(() => heard.push(store.getState()));
  store.setState("new");
  expect(heard).toEqual(["new"]);
});

test("the same value again is no change", () => {
  const value = { count: 1 };
  const store = createStore(value);
  const listener = vi.fn();
  store.subscribe(listener);
  store.setState(value);
  expect(listener).not.toHaveBeenCalled();
  store.setState({ count: 1 });
  expect(listener).toHaveBeenCalledOnce();
});

test("who has left hears nothing more, and the others still do", () => {
  const store = createStore(0);
  const [gone, here] = [vi.fn(), vi.fn()];
  const leave = store.subscribe(gone);
  store.subscribe(here);
  leave();
  store.setState(1);
  expect(gone).not.toHaveBeenCalled();
  expect(here).toHaveBeenCalledOnce();
});

test("a listener may leave while it is told", () => {
  const store = createStore(0);
  const other = vi.fn();
  const leave = store.subscribe(() => leave());
  store.subscribe(other);
  store.setState(1);
  store.setState(2);
  expect(other).toHaveBeenCalledTimes(2);
});

test("its functions work on their own", () => {
  const { getState, setState, subscribe } = createStore<string[]>([]);
  const listener = vi.fn();
  subscribe(listener);
  setState(["a"]);
  expect(getState()).toEqual(["a"]);
  expect(listener).toHaveBeenCalledOnce();
});
