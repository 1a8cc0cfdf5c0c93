/** How views get what they show: looked at again and again, or page by page. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { Failure } from "../api/failure";

export interface Polled<T> {
  data: T | undefined;
  failure: Failure | undefined;
  /** When `data` came, in milliseconds since the epoch. */
  at: number;
  reload: () => Promise<void>;
}

/**
 * Loads again and again while the tab is visible. What was loaded stays when a later look fails, and a look that is
 * refused for its pace is put off for as long as the api asks.
 */
export function usePolled<T>(load: () => Promise<T>, everyMs: number, on: unknown[] = []): Polled<T> {
  const [state, setState] = useState<Omit<Polled<T>, "reload">>({ data: undefined, failure: undefined, at: 0 });
  const turn = useRef(0);
  const look = useCallback(async () => {
    const mine = ++turn.current;
    const next = await load().then(
      (data) => ({ data, failure: undefined, at: Date.now() }),
      (thrown: unknown) => ({ failure: Failure.of(thrown) }),
    );
    // An older look that comes late says nothing new.
    if (mine === turn.current) setState((before) => ({ ...before, ...next }));
    return next.failure;
  }, on);

  useEffect(() => {
    let timer: number | undefined;
    let round = 0;
    // One round of looks at a time: who comes back to the tab begins a new one, and the old one ends.
    const go = async () => {
      clearTimeout(timer);
      if (document.hidden) return;
      const mine = ++round;
      const failure = await look();
      if (mine === round) timer = window.setTimeout(go, Math.max(everyMs, (failure?.retryAfterSecs ?? 0) * 1000));
    };
    setState((before) => ({ ...before, data: undefined, failure: undefined }));
    void go();
    document.addEventListener("visibilitychange", go);
    return () => {
      round++;
      turn.current++;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", go);
    };
  }, [look, everyMs]);

  const reload = useCallback(async () => void (await look()), [look]);
  return { ...state, reload };
}

export interface Page<T> {
  items: T[];
  next?: string | null;
}

export interface Pages<T> {
  items: T[];
  failure: Failure | undefined;
  isLoading: boolean;
  /** Absent on the last page. */
  more: (() => Promise<void>) | undefined;
  reload: () => Promise<void>;
  /** Puts a changed item in the place of the one it was. */
  replace: (isSame: (item: T) => boolean, item: T) => void;
}

/** Loads a list page by page, and from its start again when something of `on` changes. */
export function usePages<T>(load: (cursor: string | undefined) => Promise<Page<T>>, on: unknown[]): Pages<T> {
  const [items, setItems] = useState<T[]>([]);
  const [next, setNext] = useState<string>();
  const [failure, setFailure] = useState<Failure>();
  const [isLoading, setLoading] = useState(true);
  const turn = useRef(0);
  const fetchFrom = useCallback(async (cursor: string | undefined) => {
    const mine = ++turn.current;
    setLoading(true);
    try {
      const page = await load(cursor);
      if (mine !== turn.current) return;
      setItems((before) => (cursor ? [...before, ...page.items] : page.items));
      setNext(page.next ?? undefined);
      setFailure(undefined);
    } catch (thrown) {
      if (mine === turn.current) setFailure(Failure.of(thrown));
    } finally {
      if (mine === turn.current) setLoading(false);
    }
  }, on);
  const reload = useCallback(() => fetchFrom(undefined), [fetchFrom]);
  useEffect(() => void reload(), [reload]);
  const replace = (isSame: (item: T) => boolean, item: T) =>
    setItems((before) => before.map((other) => (isSame(other) ? item : other)));
  return { items, failure, isLoading, more: next ? () => fetchFrom(next) : undefined, reload, replace };
}

/** Something that a button does: busy while it does it, with the failure of the last try. */
export function useDeed<A extends unknown[]>(deed: (...given: A) => Promise<void>) {
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const run = async (...given: A) => {
    if (isBusy) return;
    setBusy(true);
    setFailure(undefined);
    try {
      await deed(...given);
    } catch (thrown) {
      setFailure(Failure.of(thrown));
    } finally {
      setBusy(false);
    }
  };
  return { run, isBusy, failure };
}
