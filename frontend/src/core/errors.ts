/** Everything that can go wrong, as one class: what a gateway says, and `offline` for what never reached it. */

export class ChatError extends Error {
  override readonly name = "ChatError";

  constructor(
    message: string,
    /** Stable, in snake_case: the gateway's own code, or `offline`. */
    readonly code: string,
    /** Whether the same request may well succeed later. */
    readonly retryable = false,
    /** The HTTP status; 0 where there was none. */
    readonly status = 0,
  ) {
    super(message);
  }
}

/** A response that isn't 2xx as an error; whatever its body is. */
export async function refused(response: Response): Promise<ChatError> {
  const body = (await response.json().catch(() => undefined)) as { error?: unknown; code?: unknown } | undefined;
  const { status } = response;
  const said = typeof body?.error === "string" ? body.error : `The server answered ${status}.`;
  return new ChatError(said, String(body?.code ?? `http_${status}`), status === 429 || status >= 500, status);
}

/** What `fetch` threw. An abort stays what it is. */
export function unreachable(error: unknown): unknown {
  return error instanceof TypeError ? new ChatError("The server can't be reached.", "offline", true) : error;
}
