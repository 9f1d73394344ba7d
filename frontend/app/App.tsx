/** The frame: a rail for the app's parts, the conversations, and the conversation in front. */

import { Dialog } from "@base-ui/react/dialog";
import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useRoute } from "wouter";
import { Conversation } from "./Conversation";
import { Conversations } from "./Conversations";
import { AccessContext, useGatewayConfig } from "./gateway";
import { Icon } from "./icons";
import { KeyDialog } from "./KeyDialog";
import { keepKey, storedKey } from "./memory";
import { applyTheme, nextTheme, storedTheme } from "./theme";

export function App() {
  const config = useGatewayConfig();
  const [, navigate] = useLocation();
  const [, params] = useRoute("/c/:id");
  const sessionId = params?.id === undefined ? undefined : decodeURIComponent(params.id);
  const [apiKey, setApiKey] = useState(storedKey);
  const [asking, setAsking] = useState(false);
  const [drawer, setDrawer] = useState(false);
  const [fresh, setFresh] = useState(0);

  // A new conversation gets its ID amid its first answer: that is no change of conversation.
  const shown = useRef({ key: 0, fresh, first: sessionId, now: sessionId });
  if (shown.current.now !== sessionId || shown.current.fresh !== fresh)
    shown.current = { key: shown.current.key + 1, fresh, first: sessionId, now: sessionId };
  const named = (id: string) => {
    shown.current.now = id;
    navigate(`/c/${encodeURIComponent(id)}`, { replace: true });
  };

  const needsKey = config.data?.key_required === true && !apiKey;
  useEffect(() => {
    if (needsKey) setAsking(true);
  }, [needsKey]);
  const access = useMemo(() => ({ apiKey, askKey: () => setAsking(true) }), [apiKey]);

  const begin = () => {
    setDrawer(false);
    setFresh(fresh + 1);
    navigate("/");
  };
  const list = <Conversations current={sessionId} onPick={() => setDrawer(false)} onNew={begin} />;

  return (
    <AccessContext value={access}>
      <a className="skip" href="#question" onClick={(event) => (event.preventDefault(), document.getElementById("question")?.focus())}>
        Skip to the question
      </a>
      <div className="shell">
        <nav className="rail" aria-label="Parts of the app">
          <img src="/assets/icon.svg" alt="Feedback Gateway" width="30" height="30" />
          <a href="#/" className="part" aria-current="page">
            <Icon name="chat" size={20} />
            <span>Chat</span>
          </a>
          <span className="grow" />
          <button type="button" className="part" onClick={() => setAsking(true)}>
            <Icon name="key" size={20} />
            <span>Key</span>
          </button>
          <ThemeButton />
        </nav>
        <aside className="side" aria-label="Conversations">
          {list}
        </aside>
        <header className="top">
          <Dialog.Root open={drawer} onOpenChange={setDrawer}>
            <Dialog.Trigger className="icon" aria-label="Conversations">
              <Icon name="menu" size={20} />
            </Dialog.Trigger>
            <Dialog.Portal>
              <Dialog.Backdrop className="backdrop" />
              <Dialog.Popup className="drawer">
                <Dialog.Title className="sr-only">Conversations</Dialog.Title>
                <Dialog.Close className="icon drawer-close" aria-label="Close">
                  <Icon name="close" />
                </Dialog.Close>
                {list}
              </Dialog.Popup>
            </Dialog.Portal>
          </Dialog.Root>
          <strong>Feedback Gateway</strong>
          <span className="grow" />
          <button type="button" className="icon" aria-label="Key" onClick={() => setAsking(true)}>
            <Icon name="key" size={20} />
          </button>
          <ThemeButton />
          <button type="button" className="icon" aria-label="New chat" onClick={begin}>
            <Icon name="plus" size={20} />
          </button>
        </header>
        <Conversation key={shown.current.key} sessionId={shown.current.first} onNamed={named} config={config} />
      </div>
      <KeyDialog
        open={asking}
        required={config.data?.key_required === true}
        current={apiKey}
        onClose={() => setAsking(false)}
        onKey={(key) => {
          keepKey(key);
          setApiKey(key || undefined);
          setAsking(false);
          if (sessionId) setFresh(fresh + 1);
        }}
      />
    </AccessContext>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState(storedTheme);
  const change = () => {
    const next = nextTheme(theme);
    applyTheme(next);
    setTheme(next);
  };
  return (
    <button type="button" className="part theme" onClick={change} aria-label={`Theme: ${theme}`} title={`Theme: ${theme}`}>
      <Icon name={theme === "dark" ? "moon" : theme === "light" ? "sun" : "system"} size={20} />
      <span>Theme</span>
    </button>
  );
}
