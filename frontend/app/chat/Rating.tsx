/** The rating of an answer: two thumbs, reasons, scores in detail, and what was given in words. */

import { useState } from "react";
import type { ChatMessage } from "../../src/index.js";
import { FeedbackButtons, FeedbackDialog, useFeedback, type Dimension, type UseFeedback } from "../../src/react.js";
import { useGateway } from "../gateway";
import { Icon } from "../ui/Icon";
import ui from "../ui/ui.module.css";
import styles from "./Rating.module.css";
import { Remarks } from "./Remarks";

interface Props {
  message: ChatMessage;
  traceId: string;
  dimensions: Readonly<Record<string, Dimension>> | undefined;
}

export function Rating({ message, traceId, dimensions }: Props) {
  const { apiKey } = useGateway();
  const feedback = useFeedback({ ...message, traceId }, { apiKey });
  const [remarking, setRemarking] = useState(false);
  const [detailing, setDetailing] = useState(false);
  return (
    <div className={styles.rating} data-rated={feedback.rating !== null || Object.keys(feedback.scores).length > 0}>
      <FeedbackButtons className={styles.thumbs} feedback={feedback} onRate={(rating) => setRemarking(rating !== null)} />
      {dimensions && (
        <button type="button" className={ui.icon} aria-label="Rate in detail" title="Rate in detail" onClick={() => setDetailing(true)}>
          <Icon name="detail" />
        </button>
      )}
      <InWords feedback={feedback} {...(remarking ? {} : { onRemark: () => setRemarking(true) })} />
      {remarking && feedback.rating !== null && <Remarks feedback={feedback} rating={feedback.rating} onClose={() => setRemarking(false)} />}
      {dimensions && (
        <FeedbackDialog
          className={`${ui.popup} ${styles.detailed}`}
          feedback={feedback}
          dimensions={dimensions}
          open={detailing}
          onClose={() => setDetailing(false)}
        />
      )}
    </div>
  );
}

/** The rating in words. */
function InWords({ feedback, onRemark }: { feedback: UseFeedback; onRemark?: () => void }) {
  const { rating, comment, reasons, scores } = feedback;
  const details = Object.entries(scores).map(([name, score]) => `${name} ${score}`);
  const words = [...(rating === null ? [] : [rating ? "You found this good" : "You found this bad", ...reasons]), ...details];
  if (!words.length) return null;
  return (
    <span className={styles.inWords} dir="auto">
      {words.join(" · ")}
      {comment && <q>{comment}</q>}
      {rating !== null && onRemark && (
        <button type="button" className={ui.link} onClick={onRemark}>
          {comment || reasons.length ? "Change" : "Say why"}
        </button>
      )}
    </span>
  );
}
