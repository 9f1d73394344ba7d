/**
 * A store: one value, and listeners that hear of its changes. It knows no framework and nothing of the value. Used by
 * core/chat, core/feedback and the app's memory; React reads it by `useSyncExternalStore`.
 */

export interface Store<State> {
  getState(): State;
  /** Replace the value, and call each listener; the same value again calls none. */
  setState(next: State): void;
  /** Call the listener after each change. Returns a function that ends it. */
  subscribe(listener: () => void): () => void;
}

/** Make a store that holds `state`. Its functions work on their own. */
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
