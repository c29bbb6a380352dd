import { useEffect, useState } from "preact/hooks";
import { ApiError, ask, type Schemas } from "../../api/client";
import { follow } from "../../api/events";
import { inWorkspace } from "../../app/workspace";

type Run = Schemas["LoadTestRunResult"];
export type Figures = Schemas["LoadTestFigures"];

interface Followed {
  run: Run | undefined;
  /** Of the last second, while it runs. */
  latest: Figures | undefined;
  /** Of everything so far. */
  total: Figures | undefined;
  error: ApiError | undefined;
}

const AGAIN_MS = 2000;

/** A run, followed live until it ends. A stream that breaks is taken up again. */
export function useRun(id: string): Followed {
  const [state, setState] = useState<Followed>({ run: undefined, latest: undefined, total: undefined, error: undefined });
  const path = inWorkspace(`load-test-runs/${encodeURIComponent(id)}`);
  useEffect(() => {
    const abort = new AbortController();
    let timer = 0;
    const watch = async (): Promise<void> => {
      try {
        const run = await ask<Run>(path, { signal: abort.signal });
        setState((before) => ({ ...before, run, total: run.result as Figures, error: undefined }));
        if (run.state !== "running") return;
        await follow(`${path}/events`, {}, ({ event, data }) => {
          if (event === "progress") {
            const { latest, total } = JSON.parse(data) as { latest: Figures; total: Figures };
            setState((before) => ({ ...before, latest, total }));
          } else if (event === "end") {
            const ended = JSON.parse(data) as Run;
            setState({ run: ended, latest: undefined, total: ended.result as Figures, error: undefined });
          }
        }, abort.signal);
      } catch (caught) {
        if (abort.signal.aborted) return;
        const error = caught instanceof ApiError ? caught : new ApiError(0, "The connection broke", "It is tried again.");
        setState((before) => ({ ...before, error }));
        if (error.status >= 400 && error.status < 500) return;
      }
      setState((before) => {
        if (!before.run || before.run.state === "running") timer = window.setTimeout(() => void watch(), AGAIN_MS);
        return before;
      });
    };
    void watch();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [path]);
  return state;
}
