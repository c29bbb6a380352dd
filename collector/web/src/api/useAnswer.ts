import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, ask, token, urlOf, type Asking } from "./client";

export interface Answered<T> {
  /** The latest answer; that of the question before while a new one is under way. */
  data: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  /** Ask once more. */
  again: () => void;
}

/** Asks when the view is shown and whenever the question changes; what is not awaited any more is cancelled.
 *
 * Where the answer fails to come, the one before stays as long as the page's URL does: with a range that moves on, it is of a moment ago.
 * `path` null asks nothing. `everyMs` asks again and again, while the tab is seen. */
export function useAnswer<T>(path: string | null, asking: Pick<Asking, "query" | "workspace"> = {}, everyMs = 0): Answered<T> {
  const [state, setState] = useState<{ data?: T; error?: ApiError; loading: boolean }>({ loading: path !== null });
  const [round, setRound] = useState(0);
  const url = path === null ? null : urlOf(path, asking.query);
  const workspace = asking.workspace ?? "";
  const identity = `${url} ${workspace} ${token.value}`;
  const subject = `${path} ${workspace} ${token.value}`;
  const known = useRef("");
  useEffect(() => {
    if (url === null) {
      setState({ loading: false });
      return;
    }
    const abort = new AbortController();
    // What is asked again keeps its answer on the screen; another question dims it.
    setState((before) => ({ ...before, loading: true }));
    ask<T>(url, { workspace, signal: abort.signal }).then(
      (data) => {
        known.current = `${subject} ${window.location.href}`;
        setState({ data, loading: false });
      },
      (error: unknown) => {
        if (error instanceof ApiError) setState((before) => ({ ...(known.current === `${subject} ${window.location.href}` ? before : {}), error, loading: false }));
        else if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
      },
    );
    return () => abort.abort();
  }, [identity, round]);
  useEffect(() => {
    if (!everyMs) return;
    const timer = setInterval(() => document.visibilityState === "visible" && setRound((before) => before + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  return { data: state.data, error: state.error, loading: state.loading, again };
}
