/** What the gateway says of itself, and the key this tab asks with. */

import { useQuery } from "@tanstack/react-query";
import { createContext, useContext } from "react";
import type { Dimension } from "../src/react.js";

interface GatewayConfig {
  models: string[];
  default_model: string;
  dimensions: Record<string, Dimension>;
  key_required: boolean;
  version: string;
}

export function useGatewayConfig() {
  return useQuery({
    queryKey: ["config"],
    queryFn: async ({ signal }): Promise<GatewayConfig> => {
      const response = await fetch("/config", { signal });
      if (!response.ok) throw new Error(`The gateway answered ${response.status}.`);
      return (await response.json()) as GatewayConfig;
    },
  });
}

export interface Access {
  apiKey: string | undefined;
  /** Show the field for a key. */
  askKey: () => void;
}

export const AccessContext = createContext<Access>({ apiKey: undefined, askKey: () => {} });
export const useAccess = () => useContext(AccessContext);
