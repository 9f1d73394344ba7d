/**
 * What this browser remembers: its conversations, and for each a feedback token that opens it again. The texts are the
 * gateway's. The key lives as long as the tab.
 */

import { useSyncExternalStore } from "react";

export interface Conversation {
  id: string;
  title: string;
  time: number;
  token?: string | undefined;
  /** Traces whose answers were regenerated. */
  replaced: readonly string[];
}

const PLACE = "feedback-gateway-app:conversations";
const KEY = "feedback-gateway-app:key";
const KEPT = 200;

const listeners = new Set<() => void>();
let cache: { text: string; list: readonly Conversation[] } = { text: "", list: [] };

function read(): readonly Conversation[] {
  const text = localStorage.getItem(PLACE) ?? "[]";
  if (text !== cache.text) {
    try {
      cache = { text, list: JSON.parse(text) as Conversation[] };
    } catch {
      cache = { text, list: [] };
    }
  }
  return cache.list;
}

function write(list: readonly Conversation[]): void {
  localStorage.setItem(PLACE, JSON.stringify(list.slice(0, KEPT)));
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  addEventListener("storage", listener);
  return () => {
    listeners.delete(listener);
    removeEventListener("storage", listener);
  };
}

export function useConversations(): readonly Conversation[] {
  return useSyncExternalStore(subscribe, read);
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

export function storedKey(): string | undefined {
  return sessionStorage.getItem(KEY) ?? undefined;
}

export function keepKey(key: string): void {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}
