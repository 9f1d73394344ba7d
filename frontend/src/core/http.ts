/** Requests to one gateway: its address, who asks, and errors in one shape. Used by the transports and by feedback. */

import { refused, unreachable } from "./errors.js";

export interface Connection {
  /** The gateway's address; the page's own by default. */
  api?: string | undefined;
  /** A key, where the gateway wants one. In a browser: a publishable one. */
  apiKey?: string | undefined;
  /** The user, where the key vouches for users. A feedback token's rater wins over it. */
  userId?: string | undefined;
  headers?: Record<string, string> | undefined;
  fetch?: typeof fetch | undefined;
}

export interface Request {
  method?: "GET" | "POST" | "DELETE";
  query?: Record<string, string | undefined>;
  body?: unknown;
  /** Opens this one trace; then no key is sent, unless `both`. */
  token?: string | undefined;
  both?: boolean;
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
}

/** Send one request. Throws a ChatError unless the response is 2xx. */
export async function request(to: Connection, path: string, options: Request = {}): Promise<Response> {
  const { method = "GET", query = {}, body, token, both, headers, signal } = options;
  const pairs = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const search = pairs.length ? `?${new URLSearchParams(pairs)}` : "";
  const send = (withToken: boolean) =>
    (to.fetch ?? fetch)(`${(to.api ?? "").replace(/\/$/, "")}${path}${search}`, {
      method,
      headers: {
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...(withToken && token && { "X-Feedback-Token": token }),
        ...(to.apiKey && (both || !withToken || !token) && { Authorization: `Bearer ${to.apiKey}` }),
        ...to.headers,
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
  try {
    let response = await send(true);
    // A token that has expired: the caller may still be let in as what it is without one.
    if (response.status === 401 && token) response = await send(false);
    if (response.ok) return response;
    throw await refused(response);
  } catch (error) {
    throw unreachable(error);
  }
}
