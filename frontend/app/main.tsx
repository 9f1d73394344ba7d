/** The web app's start: the theme before the first paint, then React. */

import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { useHashLocation } from "wouter/use-hash-location";
import { App } from "./App";
import { applyTheme, storedTheme } from "./theme";
import "./style/base.css";
import "./style/shell.css";
import "./style/chat.css";
import "./style/markdown.css";

applyTheme(storedTheme());

const queries = new QueryClient({ defaultOptions: { queries: { staleTime: 60_000, refetchOnWindowFocus: false } } });
const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <CSPProvider disableStyleElements>
        <QueryClientProvider client={queries}>
          <Router hook={useHashLocation}>
            <App />
          </Router>
        </QueryClientProvider>
      </CSPProvider>
    </StrictMode>,
  );
