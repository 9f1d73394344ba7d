/** The conversations this browser knows, newest first. */

import { forget, useConversations } from "./memory";
import { Icon } from "./icons";

interface Props {
  current: string | undefined;
  onPick: () => void;
  onNew: () => void;
}

export function Conversations({ current, onPick, onNew }: Props) {
  const conversations = useConversations();
  return (
    <>
      <button type="button" className="new" onClick={onNew}>
        <Icon name="plus" size={16} /> New chat
      </button>
      {conversations.length === 0 && <p className="muted hint">Your conversations will be listed here.</p>}
      <ul className="conversations">
        {conversations.map(({ id, title }) => (
          <li key={id}>
            <a href={`#/c/${encodeURIComponent(id)}`} aria-current={id === current ? "true" : undefined} onClick={onPick} title={title} dir="auto">
              {title}
            </a>
            <button type="button" className="icon quiet" aria-label={`Remove “${title}” from this list`} title="Remove from this list" onClick={() => forget(id)}>
              <Icon name="close" size={14} />
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}
