/** Places in the frame for what is a page's own; a page fills them by `createPortal`. App draws them. */

import { createContext, useContext } from "react";

/** Each is null until the frame is drawn. */
export interface Slots {
  /** Before everything else: the first that a keyboard reaches. */
  top: HTMLElement | null;
  /** The two ends of the bar, on a narrow screen. */
  start: HTMLElement | null;
  end: HTMLElement | null;
}

export const SlotsContext = createContext<Slots>({ top: null, start: null, end: null });
export const useSlots = () => useContext(SlotsContext);
