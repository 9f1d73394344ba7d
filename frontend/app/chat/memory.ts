/**
 * The conversations that this browser remembers, each with a feedback token that opens it again. The texts are the
 * gateway's. Used by the list of conversations and by the conversation in front.
 */

import { useSyncExternalStore } from "react";
import { createStore } from "../../src/core/store.js";

export interface Conversation {
  id: string;
  title: string;
  time: number;
  token?: string | undefined;
  /** Traces whose answers were regenerated. */
  replaced: readonly string[];
}

const PLACE = "feedback-gateway-app:conversations";
const KEPT = 200;

const store = createStore(read());
// Another tab has written.
addEventListener("storage", () => store.setState(read()));

export function useConversations(): readonly Conversation[] {
  return useSyncExternalStore(store.subscribe, store.getState);
}

export function recall(id: string): Conversation | undefined {
  return read().find((conversation) => conversation.id === id);
}

/** Put it first, as the newest; a change of nothing writes nothing. */
export function remember(conversation: Conversation): void {
  const before = recall(conversation.id);
  if (before && JSON.stringify({ ...before, time: 0 }) === JSON.stringify({ ...conversation, time: 0 })) return;
  write([conversation, ...read().filter(({ id }) => id !== conversation.id)]);
}

export function forget(id: string): void {
  write(read().filter((conversation) => conversation.id !== id));
}

/** Read what is stored now, which may be another tab's; nothing where it can't be read. */
function read(): readonly Conversation[] {
  try {
    return JSON.parse(localStorage.getItem(PLACE) ?? "[]") as Conversation[];
  } catch {
    return [];
  }
}

function write(list: readonly Conversation[]): void {
  const kept = list.slice(0, KEPT);
  localStorage.setItem(PLACE, JSON.stringify(kept));
  store.setState(kept);
}
