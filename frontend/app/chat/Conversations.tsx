/** The conversations this browser knows, newest first, by day. */

import { Icon } from "../ui/Icon";
import ui from "../ui/ui.module.css";
import styles from "./Conversations.module.css";
import { forget, useConversations, type Conversation } from "./memory";

interface Props {
  current: string | undefined;
  /** Where nothing hovers, what takes one off the list is always there. */
  inDrawer: boolean;
  onPick: () => void;
  onNew: () => void;
}

export function Conversations({ current, inDrawer, onPick, onNew }: Props) {
  const conversations = useConversations();
  return (
    <>
      <button type="button" className={styles.new} onClick={onNew}>
        <Icon name="plus" size={16} /> New chat
      </button>
      {conversations.length === 0 && <p className={`${ui.muted} ${styles.hint}`}>Your conversations will be listed here.</p>}
      {byDay(conversations).map(([day, list]) => (
        <section key={day} aria-label={day}>
          <h2 className={styles.when}>{day}</h2>
          <ul className={styles.conversations} data-drawer={inDrawer || undefined}>
            {list.map(({ id, title }) => (
              <li key={id}>
                <a href={`#/c/${encodeURIComponent(id)}`} aria-current={id === current ? "true" : undefined} onClick={onPick} title={title} dir="auto">
                  {title}
                </a>
                <button type="button" className={`${ui.icon} ${ui.quiet}`} aria-label={`Remove “${title}” from this list`} title="Remove from this list" onClick={() => forget(id)}>
                  <Icon name="close" size={14} />
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

function byDay(conversations: readonly Conversation[]): [string, Conversation[]][] {
  const today = new Date().setHours(0, 0, 0, 0);
  const yesterday = new Date(today - 1).setHours(0, 0, 0, 0);
  const days: [string, Conversation[]][] = [["Today", []], ["Yesterday", []], ["Earlier", []]];
  for (const each of conversations) days[each.time >= today ? 0 : each.time >= yesterday ? 1 : 2]?.[1].push(each);
  return days.filter(([, list]) => list.length);
}
