/** Small parts that both pages are made of. */

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

import type { Failure } from "../api/failure";

const CALM = new Set(["done", "sent", "complete", "captured", "approved", "accepted", "onboarded", "online", "authorized"]);
const LIVE = new Set(["running", "sending", "in_progress", "capturing", "contacted", "idle", "paused"]);
const BAD = new Set(["parked", "failed", "suspended", "no_show"]);

/** A state, in its own words and the colour of what it means. */
export function State({ of }: { of: string }) {
  const tone = CALM.has(of) ? "calm" : LIVE.has(of) ? "live" : BAD.has(of) ? "bad" : "plain";
  return <span class={`state ${tone}`}>{of.replaceAll("_", " ")}</span>;
}

/** What went wrong, in the api's words. */
export function Problem({ failure }: { failure: Failure | undefined }) {
  if (!failure) return null;
  const fields = Object.entries(failure.fields);
  return (
    <div class="problem" role="alert">
      <p>
        <bdi>{failure.message}</bdi> <code>{failure.code}</code>
        {failure.retryAfterSecs !== undefined && ` Try again in ${failure.retryAfterSecs} s.`}
      </p>
      {fields.length > 0 && (
        <ul>{fields.map(([field, reason]) => <li key={field}><b>{field}</b>: <bdi>{reason}</bdi></li>)}</ul>
      )}
    </div>
  );
}

/** Something to fill in, under its label. */
export function Field({ label, hint, children }: {
  label: string;
  hint?: string;
  children: (id: string) => ComponentChildren;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id)}
      {hint && <small>{hint}</small>}
    </div>
  );
}

/** The words of a type, all of them: one that is missing or too much doesn't compile. */
export function every<T extends string>(words: Record<T, true>): readonly T[] {
  return Object.keys(words) as T[];
}

/** A choice among words. */
export function Choice<T extends string>({ label, value, of, onChange, all }: {
  label: string;
  value: T | "";
  of: readonly T[];
  onChange: (value: T | "") => void;
  /** What no choice is called, where there may be none. */
  all?: string;
}) {
  return (
    <Field label={label}>
      {(id) => (
        <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value as T | "")}>
          {all !== undefined && <option value="">{all}</option>}
          {of.map((word) => <option key={word} value={word}>{word.replaceAll("_", " ")}</option>)}
        </select>
      )}
    </Field>
  );
}

/** A dialog over everything else. The browser keeps the focus in it, and gives it back. */
export function Dialog({ title, onClose, children }: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const isGone = useRef(false);
  const id = useId();
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    // Closing gives the focus back; nobody needs to be told who has taken the dialog away themselves.
    return () => {
      isGone.current = true;
      shown?.close();
    };
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={() => isGone.current || onClose()}>
      <header>
        <h2 id={id}>{title}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={() => dialog.current?.close()}>×</button>
      </header>
      {children}
    </dialog>
  );
}
