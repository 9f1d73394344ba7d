/** The frame around every page: the bar with the way to each, the key and the theme, and the page in front. */

import { Suspense, useEffect, useMemo, useState } from "react";
import styles from "./App.module.css";
import { GatewayContext, useConfig, useKey } from "./gateway";
import { KeyDialog } from "./KeyDialog";
import { PageBoundary } from "./PageBoundary";
import { findPage, PAGES } from "./pages";
import { usePath } from "./router";
import { SlotsContext } from "./slots";
import { applyTheme, nextTheme, storedTheme } from "./theme";
import { Drawing, Icon } from "./ui/Icon";
import ui from "./ui/ui.module.css";

export function App() {
  const config = useConfig();
  const { apiKey, entries, enterKey } = useKey();
  const [asking, setAsking] = useState(false);
  const [top, setTop] = useState<HTMLElement | null>(null);
  const [start, setStart] = useState<HTMLElement | null>(null);
  const [end, setEnd] = useState<HTMLElement | null>(null);
  const { page, rest } = findPage(usePath());

  const required = config.data?.key_required === true;
  const missing = required && !apiKey;
  useEffect(() => {
    if (missing) setAsking(true);
  }, [missing]);

  const gateway = useMemo(() => ({ config, apiKey, entries, askKey: () => setAsking(true) }), [config, apiKey, entries]);
  const slots = useMemo(() => ({ top, start, end }), [top, start, end]);
  return (
    <GatewayContext value={gateway}>
      <SlotsContext value={slots}>
        <div ref={setTop} />
        <div className={styles.shell}>
          <header className={styles.bar}>
            <span className={styles.slot} ref={setStart} />
            <img className={styles.logo} src="/assets/icon.svg" alt="Feedback Gateway" width="30" height="30" />
            <nav className={styles.pages} aria-label="Parts of the app">
              {PAGES.map((each) => (
                <a
                  key={each.path}
                  href={`#/${each.path}`}
                  className={styles.part}
                  aria-label={each.label}
                  aria-current={each === page ? "page" : undefined}
                >
                  <Drawing path={each.icon} size={20} />
                  <span>{each.label}</span>
                </a>
              ))}
            </nav>
            <strong className={styles.name}>Feedback Gateway</strong>
            <span className={ui.grow} />
            <button type="button" className={styles.part} aria-label="Key" onClick={() => setAsking(true)}>
              <Icon name="key" size={20} />
              <span>Key</span>
            </button>
            <ThemeButton />
            <span className={styles.slot} ref={setEnd} />
          </header>
          <PageBoundary key={page.path}>
            <Suspense>
              <page.Page rest={rest} />
            </Suspense>
          </PageBoundary>
        </div>
        <KeyDialog
          open={asking}
          required={required}
          current={apiKey}
          onClose={() => setAsking(false)}
          onKey={(key) => {
            enterKey(key);
            setAsking(false);
          }}
        />
      </SlotsContext>
    </GatewayContext>
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
    <button type="button" className={styles.part} onClick={change} aria-label={`Theme: ${theme}`} title={`Theme: ${theme}`}>
      <Icon name={theme === "dark" ? "moon" : theme === "light" ? "sun" : "system"} size={20} />
      <span>Theme</span>
    </button>
  );
}
