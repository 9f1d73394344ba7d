/** The gateway's own `GET /config`, and the key this tab asks with. App holds both; pages read them by `useGateway`. */

import { createContext, useCallback, useContext, useEffect, useMemo, useState } from "react";
import type { ConfigReply } from "../src/core/api.js";
import type { Dimension } from "../src/react.js";

/** Each of `dimensions` is either a scale or a choice. */
type GatewayConfig = Omit<ConfigReply, "dimensions"> & { dimensions: Record<string, Dimension> };

interface ConfigState {
  /** Undefined until it has come. */
  data: GatewayConfig | undefined;
  /** All tries have failed. */
  failed: boolean;
  reload: () => void;
}

const MORE_TRIES = 3;

/** Ask for `GET /config`, with some more tries, and again when the network comes back. */
export function useConfig(): ConfigState {
  const [data, setData] = useState<GatewayConfig>();
  const [failed, setFailed] = useState(false);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    load(controller.signal).then(
      (config) => {
        setData(config);
        setFailed(false);
      },
      () => setFailed(!controller.signal.aborted),
    );
    return () => controller.abort();
  }, [round]);
  useEffect(() => {
    const again = () => setRound((before) => before + 1);
    addEventListener("online", again);
    return () => removeEventListener("online", again);
  }, []);
  const reload = useCallback(() => {
    setFailed(false);
    setRound((before) => before + 1);
  }, []);
  return useMemo(() => ({ data, failed, reload }), [data, failed, reload]);
}

async function load(signal: AbortSignal): Promise<GatewayConfig> {
  for (let tries = 0; ; tries += 1) {
    try {
      const response = await fetch("/config", { signal });
      if (!response.ok) throw new Error(`The gateway answered ${response.status}.`);
      return (await response.json()) as GatewayConfig;
    } catch (error) {
      if (signal.aborted || tries === MORE_TRIES) throw error;
      await new Promise((done) => setTimeout(done, 1000 * 2 ** tries));
    }
  }
}

const KEY = "feedback-gateway-app:key";

/** The key this tab asks with. It lives as long as the tab. `entries`: how often one was entered. */
export function useKey() {
  const [apiKey, setApiKey] = useState(() => sessionStorage.getItem(KEY) ?? undefined);
  const [entries, setEntries] = useState(0);
  const enterKey = (key: string) => {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
    setApiKey(key || undefined);
    setEntries(entries + 1);
  };
  return { apiKey, entries, enterKey };
}

interface Gateway {
  config: ConfigState;
  apiKey: string | undefined;
  /** How often a key was entered: what was refused before can be asked for again. */
  entries: number;
  /** Show the field for a key. */
  askKey: () => void;
}

const NONE: Gateway = { config: { data: undefined, failed: false, reload: () => {} }, apiKey: undefined, entries: 0, askKey: () => {} };
export const GatewayContext = createContext(NONE);
export const useGateway = () => useContext(GatewayContext);
