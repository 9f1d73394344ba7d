/** Where there is no browser: a server renders with the hooks and the components, and asks nobody. */

import { renderToString } from "react-dom/server";
import { expect, test, vi } from "vitest";
import { FeedbackButtons, FeedbackDialog, useFeedback, useStreamingChat } from "../../src/react.js";

function Page({ sessionId }: { sessionId?: string }) {
  const { messages, status } = useStreamingChat(sessionId ? { sessionId } : {});
  const feedback = useFeedback(`tr-${"0".repeat(32)}`);
  return (
    <main data-status={status} data-count={messages.length}>
      <FeedbackButtons feedback={feedback} />
      <FeedbackDialog feedback={feedback} open onClose={() => {}} dimensions={{ accuracy: { min: 1, max: 5 } }} />
    </main>
  );
}

test.each([undefined, "s1"])("it renders on a server, session %s", (sessionId) => {
  expect(typeof window).toBe("undefined");
  const asked = vi.spyOn(globalThis, "fetch");
  const html = renderToString(<Page {...(sessionId ? { sessionId } : {})} />);
  expect(html).toContain('data-status="ready" data-count="0"');
  expect(html).toContain('aria-pressed="false" aria-label="Good answer"');
  expect(html).toContain('type="radio"');
  expect(asked).not.toHaveBeenCalled();
});
