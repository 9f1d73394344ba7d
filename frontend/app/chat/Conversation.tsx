/** One conversation: its messages, what is going on, and the field to ask in. */

import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useStreamingChat } from "../../src/react.js";
import { useGateway } from "../gateway";
import ui from "../ui/ui.module.css";
import { Answer } from "./Answer";
import { Composer } from "./Composer";
import styles from "./Conversation.module.css";
import { recall, remember } from "./memory";

interface Props {
  sessionId: string | undefined;
  /** The conversation got its ID. */
  onNamed: (id: string) => void;
}

const STARTERS = ["What can you do?", "Show me a table of three planets", "Write a haiku about feedback"];

export function Conversation({ sessionId, onNamed }: Props) {
  const { config, apiKey, askKey } = useGateway();
  const [known] = useState(() => (sessionId ? recall(sessionId) : undefined));
  const [model, setModel] = useState<string>();
  const chat = useStreamingChat({ apiKey, model, sessionId, token: known?.token, replaced: known?.replaced });
  const { messages, status, error, reconnecting } = chat;
  const online = useOnline();
  const busy = status === "submitted" || status === "streaming";

  const question = messages[0]?.text;
  const token = messages.findLast((message) => message.feedbackToken)?.feedbackToken;
  useEffect(() => {
    if (!chat.sessionId || !question) return;
    const before = recall(chat.sessionId);
    remember({
      id: chat.sessionId,
      title: before?.title ?? question.slice(0, 80),
      time: Date.now(),
      token: token ?? before?.token,
      replaced: chat.replaced,
    });
    if (chat.sessionId !== sessionId) onNamed(chat.sessionId);
  }, [chat.sessionId, question, token, chat.replaced, sessionId, onNamed]);

  const { area, stuck, toEnd } = useStickToEnd();
  const ask = (text: string) => {
    toEnd();
    void chat.sendMessage(text);
  };

  const empty = messages.length === 0 && status !== "error" && !sessionId;
  const offline = reconnecting > 0 ? "The connection was lost. Trying again…" : online ? "" : OFFLINE;

  return (
    <main className={`${ui.main} ${styles.conversation}`} data-empty={empty || undefined}>
      <h1 className={ui.srOnly}>Chat</h1>
      <div className={styles.scroll} data-testid="scroll" ref={area} tabIndex={-1}>
        <div className={styles.column}>
          {empty && <Welcome />}
          {messages.map((message, index) =>
            message.role === "user" ? (
              <article key={message.id} className={styles.question} aria-label="You asked">
                <p dir="auto">{message.text}</p>
              </article>
            ) : (
              <Answer
                key={message.id}
                message={message}
                last={index === messages.length - 1}
                dimensions={config.data?.dimensions}
                onAgain={chat.regenerate}
              />
            ),
          )}
          {error && messages.length === 0 && (
            <div className={ui.trouble} role="alert">
              <p>{error.status === 404 ? "This conversation isn’t there any more, or it is somebody else’s." : error.message}</p>
              <button type="button" onClick={() => (error.status === 401 ? askKey() : void chat.restore())}>
                {error.status === 401 ? "Enter a key" : "Try again"}
              </button>
            </div>
          )}
          {config.failed && (
            <div className={ui.trouble} role="alert">
              <p>The gateway can’t be reached.</p>
              <button type="button" onClick={config.reload}>
                Try again
              </button>
            </div>
          )}
        </div>
      </div>
      <div className={styles.foot}>
        {!stuck && (
          <button type="button" className={styles.toEnd} onClick={toEnd}>
            To the latest
          </button>
        )}
        <p className={offline ? styles.notice : ui.srOnly} role="status">
          {offline || SPOKEN[status === "ready" ? (messages.at(-1)?.status ?? "none") : status]}
        </p>
        <Composer
          busy={busy}
          models={config.data?.models ?? []}
          model={model ?? config.data?.default_model}
          onModel={setModel}
          onAsk={ask}
          onStop={chat.stop}
          {...(error?.status === 401 ? { onKey: askKey } : {})}
        />
        {empty && (
          <div className={styles.starters}>
            {STARTERS.map((text) => (
              <button key={text} type="button" onClick={() => ask(text)}>
                {text}
              </button>
            ))}
          </div>
        )}
      </div>
    </main>
  );
}

const OFFLINE = "You are offline. What you rate now is sent when the connection is back.";

const SPOKEN: Record<string, string> = {
  submitted: "Waiting for the answer",
  streaming: "The answer is coming",
  done: "The answer is complete",
  stopped: "Stopped",
  interrupted: "The answer broke off",
  error: "The answer failed",
};

function Welcome() {
  return (
    <div className={styles.welcome}>
      <h2>What would you like to know?</h2>
      <p className={ui.muted}>Every answer can be rated. Your ratings help to make the next ones better.</p>
    </div>
  );
}

/** Return the browser's opinion of its network. */
function useOnline(): boolean {
  return useSyncExternalStore(
    (changed) => {
      addEventListener("online", changed);
      addEventListener("offline", changed);
      return () => {
        removeEventListener("online", changed);
        removeEventListener("offline", changed);
      };
    },
    () => navigator.onLine,
  );
}

/** Follow what comes, as long as the reader is at the end. */
function useStickToEnd() {
  const area = useRef<HTMLDivElement>(null);
  const [stuck, setStuck] = useState(true);
  const stuckNow = useRef(true);
  useEffect(() => {
    const box = area.current;
    const column = box?.firstElementChild;
    if (!box || !column) return;
    let top = 0;
    const look = () => {
      const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 48;
      // Only who scrolls up leaves the end; words that came since the last scroll don't count.
      if (atEnd || box.scrollTop < top) setStuck((stuckNow.current = atEnd));
      top = box.scrollTop;
    };
    // Words, a form that opens, a notice that takes room: whatever changes a height.
    const resized = new ResizeObserver(() => {
      if (stuckNow.current) box.scrollTop = box.scrollHeight;
    });
    resized.observe(box);
    resized.observe(column);
    box.addEventListener("scroll", look, { passive: true });
    return () => {
      box.removeEventListener("scroll", look);
      resized.disconnect();
    };
  }, []);
  const toEnd = () => {
    stuckNow.current = true;
    setStuck(true);
    if (area.current) area.current.scrollTop = area.current.scrollHeight;
  };
  return { area, stuck, toEnd };
}
