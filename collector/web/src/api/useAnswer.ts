import { useCallback, useEffect, useState } from "preact/hooks";
import { parameter } from "../app/location";
import { nowNs } from "../time/moment";
import { ApiError, ask, token, urlOf, type Asking } from "./client";
import { questionOf, TIMES_SAID } from "./question";

export interface Answered<T> {
  /** The latest answer; that of the question before while a new one is under way. */
  data: T | undefined;
  /** When that came. */
  at: bigint | undefined;
  /** Why there is no later one. */
  error: ApiError | undefined;
  loading: boolean;
  /** Ask once more. */
  again: () => void;
}

interface State<T> {
  data?: T;
  at?: bigint;
  /** What it answers. */
  question?: string;
  error?: ApiError;
  loading: boolean;
}

/** Asks the API when the view is shown and whenever the question changes, as `useAsked` says. `path` null asks nothing. */
export function useAnswer<T>(path: string | null, asking: Pick<Asking, "query" | "workspace"> = {}, everyMs = 0): Answered<T> {
  const workspace = asking.workspace ?? "";
  const url = path === null ? null : urlOf(path, asking.query);
  const question = questionOf(path ?? "", asking, TIMES_SAID.map((name) => parameter(name)));
  return useAsked(question, url && `${url} ${workspace}`, (signal) => ask<T>(url ?? "", { workspace, signal }), everyMs);
}

/** Reads something when the view is shown and whenever `identity` changes; what is not awaited any more is cancelled.
 *
 * Where the answer fails to come, the one before stays as long as the question does, which may be asked of a range that moves on.
 * `identity` null asks nothing. `everyMs` asks again and again, while the tab is seen. */
export function useAsked<T>(question: string, identity: string | null, read: (signal: AbortSignal) => Promise<T>, everyMs = 0): Answered<T> {
  const [state, setState] = useState<State<T>>({ loading: identity !== null });
  const [round, setRound] = useState(0);
  const asked = `${token.value} ${question}`;
  useEffect(() => {
    if (identity === null) {
      setState({ loading: false });
      return;
    }
    const abort = new AbortController();
    // What is asked again keeps its answer on the screen; another question dims it.
    setState((before) => ({ ...before, loading: true }));
    read(abort.signal).then(
      (data) => setState({ data, at: nowNs(), question: asked, loading: false }),
      (error: unknown) => {
        if (error instanceof ApiError) setState((before) => ({ ...(before.question === asked ? before : {}), error, loading: false }));
        else if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
      },
    );
    return () => abort.abort();
  }, [identity, token.value, round]);
  useEffect(() => {
    if (!everyMs) return;
    const timer = setInterval(() => document.visibilityState === "visible" && setRound((before) => before + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  return { data: state.data, at: state.at, error: state.error, loading: state.loading, again };
}

/** What is to be said of an answer. */
export type Standing = Pick<Answered<unknown>, "data" | "at" | "error" | "again">;

/** Answers of which a view is made, as one: there when all of them are, and as old as the oldest. */
export function together(...answers: readonly Standing[]): Standing {
  const times = answers.flatMap(({ at }) => at ?? []);
  return {
    data: answers.every(({ data }) => data !== undefined) || undefined,
    at: times.length ? times.reduce((one, other) => (one < other ? one : other)) : undefined,
    error: answers.find(({ error }) => error)?.error,
    again: () => answers.forEach(({ again }) => again()),
  };
}
