/** The field to ask in: Enter sends, Shift+Enter breaks the line, Escape stops. */

import { Select } from "@base-ui/react/select";
import { useEffect, useRef, useState } from "react";
import { Icon } from "../ui/Icon";
import ui from "../ui/ui.module.css";
import styles from "./Composer.module.css";

interface Props {
  busy: boolean;
  models: string[];
  model: string | undefined;
  onModel: (model: string) => void;
  onAsk: (text: string) => void;
  onStop: () => Promise<void>;
  onKey?: () => void;
}

export function Composer({ busy, models, model, onModel, onAsk, onStop, onKey }: Props) {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const ready = !busy && text.trim() !== "";
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, []);
  const ask = () => {
    if (!ready) return;
    onAsk(text.trim());
    setText("");
  };
  return (
    <form
      className={styles.composer}
      onSubmit={(event) => {
        event.preventDefault();
        ask();
      }}
    >
      <label className={ui.srOnly} htmlFor="question">
        Your question
      </label>
      <textarea
        id="question"
        ref={field}
        rows={1}
        dir="auto"
        value={text}
        placeholder="Ask something"
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            ask();
          } else if (event.key === "Escape" && busy) void onStop();
        }}
      />
      <div className={styles.row}>
        {model && models.length > 1 && <ModelSelect models={models} model={model} onModel={onModel} />}
        {onKey && (
          <button type="button" className={ui.link} onClick={onKey}>
            Enter a key
          </button>
        )}
        <span className={ui.grow} />
        {busy ? (
          <button type="button" className={styles.send} aria-label="Stop" title="Stop (Esc)" onClick={() => void onStop()}>
            <Icon name="stop" />
          </button>
        ) : (
          <button type="submit" className={styles.send} aria-label="Send" title="Send (Enter)" aria-disabled={!ready}>
            <Icon name="send" />
          </button>
        )}
      </div>
    </form>
  );
}

function ModelSelect({ models, model, onModel }: Pick<Props, "models" | "onModel"> & { model: string }) {
  const place = useRef<HTMLSpanElement>(null); // inside the page's landmarks, for who jumps from one to the next
  return (
    <Select.Root value={model} onValueChange={(value) => value && onModel(value)}>
      <Select.Trigger className={styles.model} aria-label="Model">
        <Select.Value />
        <Icon name="chevron" size={14} />
      </Select.Trigger>
      <span ref={place} />
      <Select.Portal container={place}>
        <Select.Positioner className={styles.above} sideOffset={6} alignItemWithTrigger={false} side="top" align="start">
          <Select.Popup className={styles.options}>
            <Select.List>
              {models.map((name) => (
                <Select.Item key={name} value={name} className={styles.option}>
                  <Select.ItemText>{name}</Select.ItemText>
                  <Select.ItemIndicator>
                    <Icon name="check" size={14} />
                  </Select.ItemIndicator>
                </Select.Item>
              ))}
            </Select.List>
          </Select.Popup>
        </Select.Positioner>
      </Select.Portal>
    </Select.Root>
  );
}
