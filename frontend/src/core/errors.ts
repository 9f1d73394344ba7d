/** Everything that can go wrong, as one class: a gateway's errors, and `offline` for requests that never reached it. */

export class ChatError extends Error {
  override readonly name = "ChatError";

  constructor(
    message: string,
    /** Stable, in snake_case: the gateway's own code, or `offline`. */
    readonly code: string,
    /** True where the same request may succeed later. */
    readonly retryable = false,
    /** The HTTP status; 0 where there was none. */
    readonly status = 0,
  ) {
    super(message);
  }
}

/** Return a response that isn't 2xx as an error, whatever its body is. */
export async function refused(response: Response): Promise<ChatError> {
  const body = (await response.json().catch(() => undefined)) as { error?: unknown; code?: unknown } | undefined;
  const { status } = response;
  const said = typeof body?.error === "string" ? body.error : `The server answered ${status}.`;
  return new ChatError(said, String(body?.code ?? `http_${status}`), status === 429 || status >= 500, status);
}

/** Return the error of `fetch` as a ChatError. An abort stays as it is. */
export function unreachable(error: unknown): unknown {
  return error instanceof TypeError ? new ChatError("The server can't be reached.", "offline", true) : error;
}
