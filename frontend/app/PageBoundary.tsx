/** Around a page: one that can't be loaded, or that breaks, leaves the rest of the app standing. */

import { Component, type ReactNode } from "react";
import styles from "./PageBoundary.module.css";
import ui from "./ui/ui.module.css";

export class PageBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <main className={`${ui.main} ${styles.failed}`}>
        <div className={ui.trouble} role="alert">
          <p>This page can’t be shown.</p>
          <button type="button" onClick={() => location.reload()}>
            Load it again
          </button>
        </div>
      </main>
    );
  }
}
