/** One conversation as a hook: a thin shell over core/chat. Its functions never change; it posts only when asked to. */

import { useEffect, useState, useSyncExternalStore } from "react";
import { createChat, type Chat, type ChatOptions, type ChatState } from "../core/chat.js";

export type UseStreamingChat = ChatState &
  Pick<Chat, "sendMessage" | "stop" | "regenerate" | "resume" | "restore" | "clearError">;

/**
 * With a `sessionId` the conversation is shown as the gateway has it; another `sessionId` later is another conversation.
 * When the component goes, a running answer is let go of, and the gateway records it as such.
 */
export function useStreamingChat(options: ChatOptions = {}): UseStreamingChat {
  const { sessionId } = options;
  const [made, setMade] = useState(() => createChat(options));
  let chat = made;
  if (sessionId !== undefined && sessionId !== chat.getState().sessionId) {
    chat = createChat(options);
    setMade(chat);
  }
  const state = useSyncExternalStore(chat.subscribe, chat.getState, chat.getState);
  useEffect(() => chat.configure(options));
  useEffect(() => {
    const { messages, sessionId } = chat.getState();
    if (sessionId !== null && !messages.length) void chat.restore();
    return chat.dispose;
  }, [chat]);
  const { sendMessage, stop, regenerate, resume, restore, clearError } = chat;
  return { ...state, sendMessage, stop, regenerate, resume, restore, clearError };
}
