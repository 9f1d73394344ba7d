/**
 * Two thumbs, unstyled. Pressed again, a thumb is taken back. A screen reader hears a constant label, whether it is
 * pressed, and the result once.
 */

import type { ReactNode } from "react";
import type { UseFeedback } from "./useFeedback.js";

export interface FeedbackButtonsProps {
  feedback: UseFeedback;
  /** Called after a press; `rating` is what it made of it. */
  onRate?: (rating: boolean | null) => void;
  labels?: { up: string; down: string; group: string };
  /** The buttons' content; drawn thumbs otherwise, filled when pressed. */
  up?: ReactNode;
  down?: ReactNode;
  className?: string | undefined;
}

const LABELS = { up: "Good answer", down: "Bad answer", group: "Rate this answer" };

const SAID: Record<UseFeedback["state"], string> = {
  idle: "",
  saving: "",
  saved: "Feedback saved",
  queued: "Feedback will be sent when the connection is back",
  error: "Feedback could not be saved",
};

export function FeedbackButtons({ feedback, onRate, labels = LABELS, up, down, className }: FeedbackButtonsProps) {
  const thumb = (value: boolean, label: string, content?: ReactNode) => {
    const pressed = feedback.rating === value;
    const press = () => {
      if (pressed) feedback.retract();
      else feedback.rate(value);
      onRate?.(pressed ? null : value);
    };
    return (
      <button type="button" aria-pressed={pressed} aria-label={label} title={label} onClick={press}>
        <span aria-hidden="true">{content ?? <Thumb up={value} filled={pressed} />}</span>
      </button>
    );
  };
  return (
    <span role="group" aria-label={labels.group} className={className} data-state={feedback.state}>
      {thumb(true, labels.up, up)}
      {thumb(false, labels.down, down)}
      <span role="status">{feedback.error && feedback.state === "error" ? `${SAID.error}: ${feedback.error.message}` : SAID[feedback.state]}</span>
    </span>
  );
}

const THUMB =
  "M7.5 20h-3v-9.5h3m0 9.5v-9.5m0 9.5h8.8a2 2 0 0 0 2-1.6l1.2-6a2 2 0 0 0-2-2.4H14V6a2 2 0 0 0-2-2l-4.5 6.5";

function Thumb({ up, filled }: { up: boolean; filled: boolean }) {
  return (
    <svg width="1.2em" height="1.2em" viewBox="0 0 24 24" fill={filled ? "currentColor" : "none"} stroke="currentColor" strokeWidth="1.7" strokeLinejoin="round">
      <path d={THUMB} {...(up ? {} : { transform: "rotate(180 12 12)" })} />
    </svg>
  );
}
