/**
 * A model's answer as Markdown. What a model says is hostile until shown otherwise: no HTML, nothing loaded from
 * anywhere, links only to http, https and mailto. While it streams only the last block is parsed again.
 */

import { Component, memo, useRef, useState, type ComponentProps, type ReactNode } from "react";
import { common, createLowlight } from "lowlight";
import ReactMarkdown, { defaultUrlTransform, type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import remend from "remend";
import { Icon } from "../ui/Icon";
import ui from "../ui/ui.module.css";
import styles from "./Markdown.module.css";

/** Parsing takes time by the square of some texts' length: beyond this a block is shown as it is. */
const LONG_BLOCK = 20_000;
const plugins = [remarkGfm];
const lowlight = createLowlight(common);

export function Markdown({ text, streaming }: { text: string; streaming: boolean }) {
  const blocks = toBlocks(text);
  return (
    <div className={styles.markdown} data-testid="answer-text" dir="auto">
      {blocks.map((block, index) => (
        <Block key={index} text={streaming && index === blocks.length - 1 ? remend(block.slice(0, LONG_BLOCK)) + block.slice(LONG_BLOCK) : block} />
      ))}
    </div>
  );
}

const Block = memo(function Block({ text }: { text: string }) {
  if (text.length > LONG_BLOCK) return <p className={styles.plain}>{text}</p>;
  return (
    <OrPlain text={text}>
      <ReactMarkdown remarkPlugins={plugins} components={COMPONENTS} urlTransform={safeUrl}>
        {text}
      </ReactMarkdown>
    </OrPlain>
  );
});

/** Where the parser gives up on a text, its reader still gets it. */
class OrPlain extends Component<{ text: string; children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? <p className={styles.plain}>{this.props.text}</p> : this.props.children;
  }
}

/** Cut at blank lines outside code fences, but not inside a list. */
export function toBlocks(text: string): string[] {
  const blocks: string[] = [];
  let current: string[] = [];
  let fence = "";
  let blank = false;
  for (const line of text.split("\n")) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? "";
    const goesOn = /^(\s+\S|[-*+] |\d+[.)] )/.test(line);
    if (blank && !fence && line.trim() && !goesOn) {
      blocks.push(current.join("\n"));
      current = [];
    }
    if (mark && !fence) fence = mark;
    else if (mark && mark[0] === fence[0] && mark.length >= fence.length && line.trim() === mark) fence = "";
    blank = !line.trim();
    current.push(line);
  }
  blocks.push(current.join("\n"));
  return blocks;
}

function safeUrl(url: string, key: string): string {
  return key === "href" && /^(https?|mailto):/i.test(url) ? defaultUrlTransform(url) : "";
}

const COMPONENTS: Components = {
  a: ({ href, children }) =>
    href ? (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={href}>
        {children}
      </a>
    ) : (
      <span>{children}</span>
    ),
  img: ({ alt }) => <span className={styles.imageLeftOut}>[image: {alt || "no description"}]</span>,
  pre: Code,
  code: ({ className, children }) => <code className={className}>{coloured(className, children)}</code>,
  table: ({ children }) => (
    <div className={styles.table} tabIndex={0} role="group" aria-label="Table">
      <table>{children}</table>
    </div>
  ),
  h1: ({ children }) => <h3>{children}</h3>,
  h2: ({ children }) => <h3>{children}</h3>,
  h3: ({ children }) => <h4>{children}</h4>,
  h4: ({ children }) => <h5>{children}</h5>,
  h5: ({ children }) => <h6>{children}</h6>,
  input: ({ checked }) => <span>{checked ? "☑ " : "☐ "}</span>,
};

/** Code in a language that is known, as spans with a class and nothing else. */
function coloured(className: string | undefined, code: ReactNode): ReactNode {
  const language = languageOf(className);
  if (typeof code !== "string" || !lowlight.registered(language)) return code;
  return spans(lowlight.highlight(language, code).children);
}

function spans(nodes: ReturnType<typeof lowlight.highlight>["children"]): ReactNode[] {
  return nodes.map((node, index) => {
    if (node.type === "text") return node.value;
    return node.type === "element" ? (
      <span key={index} className={String(node.properties["className"]).replaceAll(",", " ")}>
        {spans(node.children as typeof nodes)}
      </span>
    ) : null;
  });
}

const languageOf = (className: string | undefined) => /language-(\S+)/.exec(className ?? "")?.[1] ?? "";

function Code({ children }: ComponentProps<"pre">) {
  const [copied, setCopied] = useState(false);
  const pre = useRef<HTMLPreElement>(null);
  const code = (children as { props?: { className?: string } } | undefined)?.props;
  const language = languageOf(code?.className);
  const copy = async () => {
    await navigator.clipboard.writeText(pre.current?.textContent ?? "");
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <div className={styles.code}>
      <div className={styles.codeHead}>
        <span>{language || "code"}</span>
        <button type="button" className={ui.quiet} onClick={() => void copy()}>
          <Icon name={copied ? "check" : "copy"} size={14} /> {copied ? "Copied" : "Copy"}
        </button>
      </div>
      <pre ref={pre} tabIndex={0}>{children}</pre>
    </div>
  );
}
