/** The field for a key, where the gateway asks for one. It stays in this tab. */

import { Dialog } from "@base-ui/react/dialog";
import { useState } from "react";
import ui from "./ui/ui.module.css";

interface Props {
  open: boolean;
  required: boolean;
  current: string | undefined;
  onClose: () => void;
  onKey: (key: string) => void;
}

export function KeyDialog({ open, required, current, onClose, onKey }: Props) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={ui.backdrop} />
        <Dialog.Popup className={ui.popup}>
          <Dialog.Title>API key</Dialog.Title>
          <Dialog.Description>
            {required
              ? "This gateway wants a key. Whoever runs it makes one with “gateway keys create --role chat”."
              : "This gateway lets you in without a key, but you can ask with one."}{" "}
            A key stays in this tab and goes to this gateway only.
          </Dialog.Description>
          <KeyForm current={current} onClose={onClose} onKey={onKey} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function KeyForm({ current = "", onClose, onKey }: Pick<Props, "current" | "onClose" | "onKey">) {
  const [key, setKey] = useState(current);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onKey(key.trim());
      }}
    >
      <label className={ui.field}>
        <span>Key</span>
        <input type="password" value={key} autoComplete="off" spellCheck={false} placeholder="gw-…" onChange={(event) => setKey(event.target.value)} />
      </label>
      <div className={ui.buttons}>
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className={ui.primary}>
          Use this key
        </button>
      </div>
    </form>
  );
}
