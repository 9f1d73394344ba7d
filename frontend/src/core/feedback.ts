/**
 * What one reader thinks of one answer: a store without a framework.
 *
 *     rate, retract … ─▶ jobs, shown at once ─▶ sent one after another ─▶ acknowledged: part of `base`
 *                                            └▶ refused: taken back, with the error
 *                                            └▶ offline: kept over a reload, and tried again
 *
 * The gateway counts the newest rating of a rater only, so a change is simply one more rating.
 */

import type { ChatError } from "./errors.js";
import type { FeedbackItem } from "./events.js";
import { request, type Connection } from "./http.js";

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

type Job = { key: string } & (
  | { is: "thumb"; value: boolean; remarks: Remarks }
  | { is: "scores"; scores: Scores; comment?: string | undefined }
  | { is: "retract" }
);

export interface Feedback {
  getState(): FeedbackState;
  subscribe(listener: () => void): () => void;
  configure(options: FeedbackOptions): void;
  /** Ask for what is stored, and send what an earlier page couldn't. Returns what undoes it. */
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
  const listeners = new Set<() => void>();
  let options = initial;
  let base = facts(initial.initial ?? []);
  let jobs: Job[] = [];
  let state: FeedbackState = { ...base, state: "idle", error: null };
  let sending = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const show = (now: FeedbackState["state"], error: ChatError | null = null) => {
    state = { ...jobs.reduce(apply, base), state: now, error };
    for (const listener of listeners) listener();
  };

  const add = (job: Job) => {
    // What waits behind the one on its way is overtaken by what says more.
    jobs = [...jobs.filter((old, at) => (sending && !at) || (job.is === "scores") !== (old.is === "scores")), job];
    show("saving");
    void send();
  };

  async function send(): Promise<void> {
    clearTimeout(timer);
    while (jobs[0] && !sending) {
      const job = jobs[0];
      keep(place, jobs);
      sending = true;
      try {
        await submit(job);
        base = apply(base, job);
        jobs = jobs.slice(1);
        show(jobs.length ? "saving" : "saved");
      } catch (thrown) {
        const error = thrown as ChatError;
        if (error.retryable) {
          show("queued", error);
          timer = setTimeout(() => void send(), RETRY_MS);
          return;
        }
        jobs = jobs.slice(1);
        show("error", error);
      } finally {
        sending = false;
        keep(place, jobs);
      }
    }
  }

  function submit(job: Job): Promise<Response> {
    const { token, userId } = options;
    const query = { trace_id: traceId, user_id: token ? undefined : userId };
    const headers = { "Idempotency-Key": job.key };
    if (job.is === "retract")
      return request(options, "/feedback", { method: "DELETE", query: { ...query, name: "user_feedback" }, token });
    const [path, body] =
      job.is === "thumb"
        ? ["/feedback", { is_correct: job.value, ...job.remarks }]
        : ["/detailed-feedback", { ...job.scores, comment: job.comment }];
    return request(options, path, { method: "POST", query, body, token, headers });
  }

  const rate = (value: boolean, { comment, reasons }: Remarks = {}) => {
    const remarks = { comment: comment ?? (state.comment || undefined), reasons: reasons ?? [...state.reasons] };
    add({ is: "thumb", value, key: newKey(), remarks: remarks.reasons.length ? remarks : { comment: remarks.comment } });
  };

  return {
    getState: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    configure(next) {
      options = next;
    },
    start() {
      const again = () => void send();
      globalThis.addEventListener("online", again);
      if (!jobs.length) jobs = kept(place);
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
      if (state.rating !== null) rate(state.rating, { comment });
    },
    rateDetailed: (scores, comment) => add({ is: "scores", scores, comment, key: newKey() }),
    retract: () => add({ is: "retract", key: newKey() }),
  };

  async function read(): Promise<void> {
    const { token, userId } = options;
    const query = { trace_id: traceId, user_id: token ? undefined : userId };
    try {
      const response = await request(options, "/feedback", { query, token });
      base = facts(((await response.json()) as { feedback: FeedbackItem[] }).feedback);
      show(state.state, state.error);
    } catch {
      // Rating works all the same; it says itself what is wrong.
    }
  }
}

function apply(known: Facts, job: Job): Facts {
  if (job.is === "retract") return { ...NOTHING, scores: known.scores };
  if (job.is === "scores") return { ...known, scores: { ...known.scores, ...job.scores } };
  return { ...known, rating: job.value, comment: job.remarks.comment ?? "", reasons: job.remarks.reasons ?? [] };
}

/** Stored ratings as what a page shows. */
function facts(items: readonly FeedbackItem[]): Facts {
  let found = NOTHING;
  for (const { name, value, rationale, metadata } of items) {
    if (name === "user_feedback") {
      found = { ...found, rating: value === true, comment: rationale ?? "", reasons: list<string>(metadata?.reasons) };
    } else if (name.startsWith("user_")) {
      const score = metadata?.score === undefined ? String(value) : Number(metadata.score);
      found = { ...found, scores: { ...found.scores, [name.slice(5)]: score } };
    }
  }
  return found;
}

/** Unlike any other of this rater's; it is no secret. */
const newKey = () => `${Date.now()}${Math.random()}`;

/** Where there is no storage, or it is full, the jobs live as long as the page. */
function keep(place: string, jobs: readonly Job[]): void {
  try {
    if (jobs.length) localStorage.setItem(place, JSON.stringify(jobs));
    else localStorage.removeItem(place);
  } catch {
    // see above
  }
}

function kept(place: string): Job[] {
  try {
    return list<Job>(localStorage.getItem(place));
  } catch {
    return [];
  }
}

/** A list out of JSON; an empty one where it is none. */
function list<Item>(text: string | null | undefined): Item[] {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return Array.isArray(value) ? (value as Item[]) : [];
  } catch {
    return [];
  }
}
