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
  /** What is in the buttons; 👍 and 👎 otherwise. */
  up?: ReactNode;
  down?: ReactNode;
  className?: string;
}

const LABELS = { up: "Good answer", down: "Bad answer", group: "Rate this answer" };

const SAID: Record<UseFeedback["state"], string> = {
  idle: "",
  saving: "",
  saved: "Feedback saved",
  queued: "Feedback will be sent when the connection is back",
  error: "Feedback could not be saved",
};

export function FeedbackButtons({ feedback, onRate, labels = LABELS, up = "👍", down = "👎", className }: FeedbackButtonsProps) {
  const thumb = (value: boolean, label: string, content: ReactNode) => {
    const pressed = feedback.rating === value;
    const press = () => {
      if (pressed) feedback.retract();
      else feedback.rate(value);
      onRate?.(pressed ? null : value);
    };
    return (
      <button type="button" aria-pressed={pressed} aria-label={label} title={label} onClick={press}>
        <span aria-hidden="true">{content}</span>
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
