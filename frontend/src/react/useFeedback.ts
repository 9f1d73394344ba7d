/** One reader's ratings of one answer, as a hook: a thin shell over core/feedback. */

import { useEffect, useState, useSyncExternalStore } from "react";
import { createFeedback, type Feedback, type FeedbackOptions, type FeedbackState } from "../core/feedback.js";
import type { ChatMessage } from "../core/messages.js";

export type UseFeedback = FeedbackState & Pick<Feedback, "rate" | "rateDetailed" | "addComment" | "retract">;

/** A message of useStreamingChat, or a trace's ID. */
export type Rated = string | Pick<ChatMessage, "traceId" | "feedbackToken" | "feedback">;

export function useFeedback(rated: Rated, options: FeedbackOptions = {}): UseFeedback {
  const message = typeof rated === "string" ? { traceId: rated } : rated;
  const { traceId = "", feedbackToken: token, feedback: initial }: Exclude<Rated, string> = message;
  const given = { token, initial, ...options };
  const make = () => ({ traceId, feedback: createFeedback(traceId, given) });
  const [made, setMade] = useState(make);
  let current = made;
  if (made.traceId !== traceId) {
    current = make();
    setMade(current);
  }
  const { feedback } = current;
  const state = useSyncExternalStore(feedback.subscribe, feedback.getState, feedback.getState);
  useEffect(() => feedback.configure(given));
  useEffect(() => (traceId ? feedback.start() : undefined), [feedback, traceId]);
  const { rate, rateDetailed, addComment, retract } = feedback;
  return { ...state, rate, rateDetailed, addComment, retract };
}
