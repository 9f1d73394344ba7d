/** One answer: its text, how it ended, and what can be done with it. */

import { memo, useState } from "react";
import type { ChatMessage } from "../../src/index.js";
import type { Dimension } from "../../src/react.js";
import { Icon } from "../ui/Icon";
import ui from "../ui/ui.module.css";
import styles from "./Answer.module.css";
import { Markdown } from "./Markdown";
import { Rating } from "./Rating";

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
    <article className={styles.answer} aria-label="Answer" aria-busy={running} data-status={status} data-trace={traceId}>
      {reasoning && (
        <details className={styles.reasoning}>
          <summary>Reasoning</summary>
          <p dir="auto">{reasoning}</p>
        </details>
      )}
      {text && <Markdown text={text} streaming={running} />}
      {status === "waiting" && (
        <p className={styles.dots} aria-hidden="true">
          <span />
          <span />
          <span />
        </p>
      )}
      {note && (
        <div className={status === "failed" ? `${ui.trouble} ${styles.ended} ${styles.failed}` : styles.ended}>
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
        <div className={styles.actions}>
          {traceId && <Rating message={message} traceId={traceId} dimensions={dimensions} />}
          <span className={styles.tools}>
            {text && <Copy label="Copy the answer" text={text} icon="copy" />}
            {last && !retry && (
              <button type="button" className={ui.icon} aria-label="Answer again" title="Answer again" onClick={() => void onAgain()}>
                <Icon name="again" />
              </button>
            )}
            {traceId && <Copy label="Copy the trace ID" text={traceId} shown={`${traceId.slice(0, 11)}…`} />}
          </span>
          {message.timing && (
            <span className={`${ui.muted} ${styles.numbers}`}>
              {message.model} · {(message.timing.total_ms / 1000).toFixed(1)} s
              {message.usage ? ` · ${message.usage.total_tokens} ${message.usage.total_tokens === 1 ? "token" : "tokens"}` : ""}
            </span>
          )}
        </div>
      )}
    </article>
  );
});

function Copy({ label, text, icon, shown }: { label: string; text: string; icon?: "copy"; shown?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" className={shown ? `${ui.icon} ${styles.trace}` : ui.icon} aria-label={shown ? `${label} ${shown}` : label} title={label} onClick={() => void copy()}>
      {copied ? <Icon name="check" /> : icon ? <Icon name={icon} /> : <code>{shown}</code>}
    </button>
  );
}
