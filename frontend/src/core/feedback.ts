/**
 * One reader's ratings of one answer: a store without a framework.
 *
 *     rate, retract … ─▶ jobs, shown at once ─▶ sent one after another ─▶ acknowledged: part of `base`
 *                                            └▶ refused: taken back, with the error
 *                                            └▶ offline: kept over a reload, and tried again
 *
 * The gateway counts the newest rating of a rater only, so a change is simply one more rating.
 */

import type { FeedbackList } from "./api.js";
import type { ChatError } from "./errors.js";
import type { FeedbackItem } from "./events.js";
import { request, type Connection, type Request } from "./http.js";
import { createStore } from "./store.js";

export interface FeedbackOptions extends Connection {
  /** The answer's feedback token, where the gateway gave one. */
  token?: string | undefined;
  /** The ratings that are known; without them the gateway is asked once. */
  initial?: readonly FeedbackItem[] | undefined;
}

export interface Remarks {
  comment?: string | undefined;
  reasons?: string[] | undefined;
}

export type Scores = Record<string, number | string>;

export interface FeedbackState {
  readonly rating: boolean | null;
  readonly comment: string;
  readonly reasons: readonly string[];
  /** By dimension, as given. */
  readonly scores: Readonly<Scores>;
  /** `queued`: the gateway can't be reached; it will be sent. */
  readonly state: "idle" | "saving" | "saved" | "queued" | "error";
  readonly error: ChatError | null;
}

type Wish =
  | { is: "thumb"; value: boolean; remarks: { comment: string | undefined; reasons: readonly string[] | undefined } }
  | { is: "scores"; scores: Scores; comment?: string | undefined }
  | { is: "retract" };
type Job = Wish & { key: string };

export interface Feedback {
  getState(): FeedbackState;
  subscribe(listener: () => void): () => void;
  configure(options: FeedbackOptions): void;
  /** Read the stored ratings, and send those that an earlier page couldn't. Returns a function that undoes it. */
  start(): () => void;
  /** A thumb: up is true. Again with another value changes it; remarks that aren't given stay. */
  rate(value: boolean, remarks?: Remarks): void;
  /** To a thumb that is there; without one nothing happens. */
  addComment(comment: string): void;
  rateDetailed(scores: Scores, comment?: string): void;
  /** Take the thumb back, with its comment. */
  retract(): void;
}

type Facts = Pick<FeedbackState, "rating" | "comment" | "reasons" | "scores">;
const NOTHING: Facts = { rating: null, comment: "", reasons: [], scores: {} };
const RETRY_MS = 4000;

export function createFeedback(traceId: string, initial: FeedbackOptions = {}): Feedback {
  const place = `feedback-gateway:${traceId}`;
  let options = initial;
  let base = facts(initial.initial);
  let jobs: Job[] = [];
  const { getState, setState, subscribe } = createStore<FeedbackState>({ ...base, state: "idle", error: null });
  let sending = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const show = (state: FeedbackState["state"], error: ChatError | null = null) =>
    setState({ ...jobs.reduce(apply, base), state, error });

  const add = (wish: Wish) => {
    // A job that still waits is replaced by a newer one of its kind; the one on its way is left alone.
    const left = jobs.filter((old, at) => (sending && !at) || (wish.is === "scores") !== (old.is === "scores"));
    // The key is unlike any other of this rater's; it is no secret.
    jobs = [...left, { ...wish, key: `${Date.now()}${Math.random()}` }];
    keep();
    show("saving");
    void send();
  };

  async function send(): Promise<void> {
    clearTimeout(timer);
    while (jobs[0] && !sending) {
      const job = jobs[0];
      sending = true;
      const error = await submit(job).then(() => undefined, (thrown: ChatError) => thrown);
      sending = false;
      if (error?.retryable) {
        timer = setTimeout(send, RETRY_MS);
        return show("queued", error);
      }
      if (!error) base = apply(base, job);
      jobs = jobs.slice(1);
      keep();
      show(error ? "error" : jobs.length ? "saving" : "saved", error);
    }
  }

  /** Keep the jobs over a reload. Where there is no storage, or it is full, they live as long as the page. */
  function keep(): void {
    try {
      if (jobs.length) localStorage.setItem(place, JSON.stringify(jobs));
      else localStorage.removeItem(place);
    } catch {
      // see above
    }
  }

  function submit({ key, ...job }: Job): Promise<Response> {
    if (job.is === "retract") return ask("/feedback", { method: "DELETE", query: { name: "user_feedback" } });
    const [path, body] =
      job.is === "thumb"
        ? ["/feedback", { is_correct: job.value, ...job.remarks }]
        : ["/detailed-feedback", { ...job.scores, comment: job.comment }];
    return ask(path, { method: "POST", body, headers: { "Idempotency-Key": key } });
  }

  /** Send a request about this answer, as this rater. */
  function ask(path: string, more: Request = {}): Promise<Response> {
    const { token, userId } = options;
    const query = { trace_id: traceId, user_id: token ? undefined : userId, ...more.query };
    return request(options, path, { ...more, query, token });
  }

  const rate = (value: boolean, { comment, reasons }: Remarks = {}) => {
    const known = getState();
    const all = reasons ?? known.reasons;
    const remarks = { comment: comment ?? (known.comment || undefined), reasons: all.length ? all : undefined };
    add({ is: "thumb", value, remarks });
  };

  return {
    getState,
    subscribe,
    configure(next) {
      options = next;
    },
    start() {
      const again = () => void send();
      globalThis.addEventListener("online", again);
      if (!jobs.length) jobs = list<Job>(() => localStorage.getItem(place));
      if (jobs.length) show("saving");
      again();
      if (!options.initial) void read();
      return () => {
        clearTimeout(timer);
        globalThis.removeEventListener("online", again);
      };
    },
    rate,
    addComment(comment) {
      const { rating } = getState();
      if (rating !== null) rate(rating, { comment });
    },
    rateDetailed: (scores, comment) => add({ is: "scores", scores, comment }),
    retract: () => add({ is: "retract" }),
  };

  async function read(): Promise<void> {
    try {
      const response = await ask("/feedback");
      base = facts(((await response.json()) as FeedbackList).feedback);
      const { state, error } = getState();
      show(state, error);
    } catch {
      // Rating works all the same, and reports its own errors.
    }
  }
}

function apply(known: Facts, job: Job): Facts {
  if (job.is === "retract") return { ...NOTHING, scores: known.scores };
  if (job.is === "scores") return { ...known, scores: { ...known.scores, ...job.scores } };
  return { ...known, rating: job.value, comment: job.remarks.comment ?? "", reasons: job.remarks.reasons ?? [] };
}

/** Return stored ratings as a page shows them. */
function facts(items: readonly FeedbackItem[] = []): Facts {
  let found = NOTHING;
  for (const { name, value, rationale, metadata } of items) {
    if (name === "user_feedback") {
      found = { ...found, rating: value === true, comment: rationale ?? "", reasons: list<string>(() => metadata?.reasons) };
    } else if (name.startsWith("user_")) {
      const score = metadata?.score === undefined ? String(value) : Number(metadata.score);
      found = { ...found, scores: { ...found.scores, [name.slice(5)]: score } };
    }
  }
  return found;
}

/** Parse a list from JSON. Returns an empty one where there is none, or it can't be read. */
function list<Item>(read: () => string | null | undefined): Item[] {
  try {
    const value: unknown = JSON.parse(read() ?? "");
    return Array.isArray(value) ? (value as Item[]) : [];
  } catch {
    return [];
  }
}
