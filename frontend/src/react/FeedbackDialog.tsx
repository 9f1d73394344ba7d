/**
 * The detailed rating: a scale for each dimension of the gateway's `GET /config`, and a comment. Unstyled, on the
 * browser's own modal dialog, which keeps the focus, closes on Escape and gives the focus back.
 */

import { useEffect, useRef, useState, type FormEvent } from "react";
import type { Scores } from "../core/feedback.js";
import { RatingScale } from "./RatingScale.js";
import type { UseFeedback } from "./useFeedback.js";

/** A scale or a choice, as `GET /config` describes it. */
export type Dimension = { min: number; max: number } | { options: readonly string[] };

export interface FeedbackDialogProps {
  feedback: UseFeedback;
  dimensions: Readonly<Record<string, Dimension>>;
  open: boolean;
  onClose: () => void;
  title?: string;
  labels?: { comment: string; submit: string; cancel: string };
  className?: string | undefined;
}

const LABELS = { comment: "Comment", submit: "Send", cancel: "Cancel" };

export function FeedbackDialog(props: FeedbackDialogProps) {
  const { open, onClose, title = "Rate this answer in detail", className } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open && !dialog.current?.open) dialog.current?.showModal();
    else if (!open && dialog.current?.open) dialog.current.close();
  }, [open]);
  return (
    <dialog ref={dialog} className={className} aria-label={title} onClose={onClose}>
      {open && <Form {...props} title={title} />}
    </dialog>
  );
}

function Form({ feedback, dimensions, onClose, title, labels = LABELS }: FeedbackDialogProps) {
  const [scores, setScores] = useState<Scores>(feedback.scores);
  const [comment, setComment] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    feedback.rateDetailed(scores, comment.trim() || undefined);
    onClose();
  };
  return (
    <form onSubmit={submit}>
      <h2>{title}</h2>
      {Object.entries(dimensions).map(([name, dimension]) => (
        <RatingScale
          key={name}
          label={name}
          options={"options" in dimension ? dimension.options : range(dimension.min, dimension.max)}
          value={scores[name]}
          onChange={(value) => setScores({ ...scores, [name]: value })}
        />
      ))}
      <label>
        <span>{labels.comment}</span>
        <textarea value={comment} maxLength={10_000} rows={3} onChange={(event) => setComment(event.target.value)} />
      </label>
      <div>
        <button type="button" onClick={onClose}>
          {labels.cancel}
        </button>
        <button type="submit" disabled={!Object.keys(scores).length}>
          {labels.submit}
        </button>
      </div>
    </form>
  );
}

function range(min: number, max: number): number[] {
  return Array.from({ length: max - min + 1 }, (_, index) => min + index);
}
