/** The chat: the conversations at the side, and one of them in front. `#/` is a new one, `#/c/ID` one from before. */

import { Dialog } from "@base-ui/react/dialog";
import { useRef, useState } from "react";
import { createPortal } from "react-dom";
import { useGateway } from "../gateway";
import type { PageProps } from "../pages";
import { go } from "../router";
import { useSlots } from "../slots";
import { Icon } from "../ui/Icon";
import ui from "../ui/ui.module.css";
import styles from "./ChatPage.module.css";
import { Conversation } from "./Conversation";
import { Conversations } from "./Conversations";

export default function ChatPage({ rest }: PageProps) {
  const id = /^c\/([^/]+)\/?$/.exec(rest)?.[1];
  const sessionId = id === undefined ? undefined : decodeURIComponent(id);
  const { entries } = useGateway();
  const slots = useSlots();
  const [drawer, setDrawer] = useState(false);
  const [fresh, setFresh] = useState(0);

  // A new conversation gets its ID during its first answer: that is no change of conversation.
  const shown = useRef({ key: 0, fresh, entries, first: sessionId, now: sessionId });
  const { now, key, ...before } = shown.current;
  if (now !== sessionId || before.fresh !== fresh || (sessionId && before.entries !== entries))
    shown.current = { key: key + 1, fresh, entries, first: sessionId, now: sessionId };
  shown.current.entries = entries;
  const named = (given: string) => {
    shown.current.now = given;
    go(`/c/${encodeURIComponent(given)}`, { replace: true });
  };

  const begin = () => {
    setDrawer(false);
    setFresh(fresh + 1);
    go("/");
  };
  const list = (inDrawer: boolean) => (
    <Conversations current={sessionId} inDrawer={inDrawer} onPick={() => setDrawer(false)} onNew={begin} />
  );
  const skip = (
    <a className={styles.skip} href="#question" onClick={(event) => (event.preventDefault(), document.getElementById("question")?.focus())}>
      Skip to the question
    </a>
  );
  const menu = (
    <Dialog.Root open={drawer} onOpenChange={setDrawer}>
      <Dialog.Trigger className={ui.icon} aria-label="Conversations">
        <Icon name="menu" size={20} />
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className={ui.backdrop} />
        <Dialog.Popup className={styles.drawer}>
          <Dialog.Title className={ui.srOnly}>Conversations</Dialog.Title>
          <Dialog.Close className={`${ui.icon} ${styles.close}`} aria-label="Close">
            <Icon name="close" />
          </Dialog.Close>
          {list(true)}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
  const another = (
    <button type="button" className={ui.icon} aria-label="New chat" onClick={begin}>
      <Icon name="plus" size={20} />
    </button>
  );
  return (
    <>
      {slots.top && createPortal(skip, slots.top)}
      {slots.start && createPortal(menu, slots.start)}
      {slots.end && createPortal(another, slots.end)}
      <aside className={styles.side} aria-label="Conversations">
        {list(false)}
      </aside>
      <Conversation key={shown.current.key} sessionId={shown.current.first} onNamed={named} />
    </>
  );
}
