/** Why: reasons to tick and a comment, after a thumb. The thumb is stored already; this adds to it. */

import { useEffect, useRef, useState } from "react";
import type { UseFeedback } from "../../src/react.js";
import ui from "../ui/ui.module.css";
import styles from "./Remarks.module.css";

const REASONS = {
  up: ["Correct", "Clear", "Complete", "Well put"],
  down: ["Not correct", "Incomplete", "Too long", "Hard to follow", "Not what I asked"],
};

export function Remarks({ feedback, rating, onClose }: { feedback: UseFeedback; rating: boolean; onClose: () => void }) {
  const offered = REASONS[rating ? "up" : "down"];
  const [reasons, setReasons] = useState(() => feedback.reasons.filter((reason) => offered.includes(reason)));
  const [comment, setComment] = useState(feedback.comment);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    void form.current?.scrollIntoView({ block: "nearest" });
  }, []);
  return (
    <form
      ref={form}
      className={styles.remarks}
      aria-label="Why?"
      onKeyDown={(event) => event.key === "Escape" && onClose()}
      onSubmit={(event) => {
        event.preventDefault();
        feedback.rate(rating, { reasons: reasons.filter((reason) => offered.includes(reason)), comment: comment.trim() });
        onClose();
      }}
    >
      <div className={styles.reasons} role="group" aria-label="Reasons">
        {offered.map((reason) => {
          const on = reasons.includes(reason);
          return (
            <button key={reason} type="button" aria-pressed={on} onClick={() => setReasons(on ? reasons.filter((each) => each !== reason) : [...reasons, reason])}>
              {reason}
            </button>
          );
        })}
      </div>
      <label className={ui.field}>
        <span className={ui.srOnly}>Comment</span>
        <textarea
          rows={2}
          maxLength={10_000}
          value={comment}
          placeholder={rating ? "What was good? (optional)" : "What went wrong? (optional)"}
          onChange={(event) => setComment(event.target.value)}
        />
      </label>
      <div className={ui.buttons}>
        <button type="button" onClick={onClose}>
          Close
        </button>
        <button type="submit" className={ui.primary}>
          Send
        </button>
      </div>
    </form>
  );
}
