/** A queue that is handed on at most once a frame, however often items come. core/chat shows answers by it. */

export interface FrameQueue<Item> {
  push(items: readonly Item[]): void;
  /** Hand on the waiting items now. */
  flush(): void;
}

/** How long items wait in a tab that isn't shown, which has no frames. */
const HIDDEN_MS = 100;

/** Make a queue whose items go to `deliver`, together and in order. */
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
