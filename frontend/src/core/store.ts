/**
 * The smallest store: one value, and who wants to know when it changes. It knows no framework, and of no value what is
 * in it. Behind core/chat, core/feedback and the app's memory; React reads it by `useSyncExternalStore`.
 */

export interface Store<State> {
  getState(): State;
  /** Put another value in its place, and tell everybody; the same value again tells nobody. */
  setState(next: State): void;
  /** Returns what ends it. */
  subscribe(listener: () => void): () => void;
}

export function createStore<State>(state: State): Store<State> {
  const listeners = new Set<() => void>();
  return {
    getState: () => state,
    setState(next) {
      if (next === state) return;
      state = next;
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
