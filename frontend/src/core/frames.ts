/** A queue that is handed on at most once a frame, however often something comes. Core/chat reads answers through it. */

export interface FrameQueue<Item> {
  push(items: readonly Item[]): void;
  /** Hand on what waits, now. */
  flush(): void;
}

/** A tab that isn't shown has no frames: there it is handed on after so many milliseconds. */
const HIDDEN_MS = 100;

export function frameQueue<Item>(deliver: (items: Item[]) => void): FrameQueue<Item> {
  const waiting: Item[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length) deliver(waiting.splice(0));
  };
  return {
    push(items) {
      waiting.push(...items);
      if (timer) return;
      timer = setTimeout(flush, HIDDEN_MS);
      globalThis.requestAnimationFrame?.(flush);
    },
    flush,
  };
}
