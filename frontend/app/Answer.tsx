/** One answer, with how it ended and what its reader thinks of it. */

import { memo, useState } from "react";
import type { ChatMessage } from "../src/index.js";
import { FeedbackButtons, FeedbackDialog, useFeedback, type Dimension, type UseFeedback } from "../src/react.js";
import { useAccess } from "./gateway";
import { Icon } from "./icons";
import { Markdown } from "./Markdown";
import { Remarks } from "./Remarks";

interface Props {
  message: ChatMessage;
  last: boolean;
  dimensions: Readonly<Record<string, Dimension>> | undefined;
  onAgain: () => Promise<void>;
}

const ENDED: Partial<Record<ChatMessage["status"], string>> = {
  stopped: "You stopped this answer.",
  interrupted: "This answer broke off; this is what came of it.",
  failed: "This answer failed.",
};

export const Answer = memo(function Answer({ message, last, dimensions, onAgain }: Props) {
  const { status, text, reasoning, traceId } = message;
  const running = status === "waiting" || status === "streaming";
  const note = ENDED[status];
  const retry = last && status === "failed";
  return (
    <article className="answer" aria-label="Answer" aria-busy={running} data-status={status} data-trace={traceId}>
      {reasoning && (
        <details className="reasoning">
          <summary>Reasoning</summary>
          <p dir="auto">{reasoning}</p>
        </details>
      )}
      {text && <Markdown text={text} streaming={running} />}
      {status === "waiting" && (
        <p className="dots" aria-hidden="true">
          <span />
          <span />
          <span />
        </p>
      )}
      {note && (
        <div className="ended" data-status={status}>
          <p>
            <strong>{note}</strong> {message.error}
          </p>
          {retry && (
            <button type="button" onClick={() => void onAgain()}>
              Answer again
            </button>
          )}
        </div>
      )}
      {!running && (
        <div className="actions">
          {traceId && <Rating message={message} traceId={traceId} dimensions={dimensions} />}
          <span className="tools">
            {text && <Copy label="Copy the answer" text={text} icon="copy" />}
            {last && !retry && (
              <button type="button" className="icon" aria-label="Answer again" title="Answer again" onClick={() => void onAgain()}>
                <Icon name="again" />
              </button>
            )}
            {traceId && <Copy label="Copy the trace ID" text={traceId} shown={`${traceId.slice(0, 11)}…`} />}
          </span>
          {message.timing && (
            <span className="muted numbers">
              {message.model} · {(message.timing.total_ms / 1000).toFixed(1)} s
              {message.usage ? ` · ${message.usage.total_tokens} ${message.usage.total_tokens === 1 ? "token" : "tokens"}` : ""}
            </span>
          )}
        </div>
      )}
    </article>
  );
});

function Rating({ message, traceId, dimensions }: { message: ChatMessage; traceId: string; dimensions: Props["dimensions"] }) {
  const { apiKey } = useAccess();
  const feedback = useFeedback({ ...message, traceId }, { apiKey });
  const [remarking, setRemarking] = useState(false);
  const [detailing, setDetailing] = useState(false);
  return (
    <div className="rating" data-rated={feedback.rating !== null || Object.keys(feedback.scores).length > 0}>
      <FeedbackButtons
        className="thumbs"
        feedback={feedback}
        onRate={(rating) => setRemarking(rating !== null)}
      />
      {dimensions && (
        <button type="button" className="icon" aria-label="Rate in detail" title="Rate in detail" onClick={() => setDetailing(true)}>
          <Icon name="detail" />
        </button>
      )}
      <Said feedback={feedback} {...(remarking ? {} : { onRemark: () => setRemarking(true) })} />
      {remarking && feedback.rating !== null && <Remarks feedback={feedback} rating={feedback.rating} onClose={() => setRemarking(false)} />}
      {dimensions && (
        <FeedbackDialog className="detailed popup" feedback={feedback} dimensions={dimensions} open={detailing} onClose={() => setDetailing(false)} />
      )}
    </div>
  );
}

/** The rating in words. */
function Said({ feedback, onRemark }: { feedback: UseFeedback; onRemark?: () => void }) {
  const { rating, comment, reasons, scores } = feedback;
  const details = Object.entries(scores).map(([name, score]) => `${name} ${score}`);
  const words = [...(rating === null ? [] : [rating ? "You found this good" : "You found this bad", ...reasons]), ...details];
  if (!words.length) return null;
  return (
    <span className="said" dir="auto">
      {words.join(" · ")}
      {comment && <q>{comment}</q>}
      {rating !== null && onRemark && (
        <button type="button" className="link" onClick={onRemark}>
          {comment || reasons.length ? "Change" : "Say why"}
        </button>
      )}
    </span>
  );
}

function Copy({ label, text, icon, shown }: { label: string; text: string; icon?: "copy"; shown?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" className={shown ? "icon trace" : "icon"} aria-label={shown ? `${label} ${shown}` : label} title={label} onClick={() => void copy()}>
      {copied ? <Icon name="check" /> : icon ? <Icon name={icon} /> : <code>{shown}</code>}
    </button>
  );
}
