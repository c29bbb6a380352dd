import { useCallback, useEffect, useState } from "preact/hooks";
import { ApiError, ask, token, type Schemas } from "../../api/client";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery, type TimeRange } from "../../time/range";

type Red = Schemas["Red"];

const PAGE = 100;
/** A store with more services than that is looked through by name. */
const MOST_PAGES = 5;

/** Rate, errors and durations of all services of a range, page by page. The answer before stays until the new one is whole. */
export function useAllSeries(range: TimeRange): { data: Red | undefined; error: ApiError | undefined; again: () => void } {
  const [state, setState] = useState<{ data?: Red; error?: ApiError }>({});
  const [round, setRound] = useState(0);
  const workspace = currentWorkspace();
  useEffect(() => {
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      let whole: Red | undefined;
      for (let page = 0; page < MOST_PAGES && (!whole || whole.nextCursor); page++) {
        const query = { ...rangeQuery(range), limit: PAGE, cursor: whole?.nextCursor };
        const next: Red = await ask<Red>("/api/v1/red", { query, workspace, signal: abort.signal });
        whole = whole ? { ...next, series: [...whole.series, ...next.series] } : next;
      }
      if (whole) setState({ data: whole });
    };
    read().catch((error: unknown) => error instanceof ApiError && setState((before) => ({ ...before, error })));
    return () => abort.abort();
  }, [range, workspace, token.value, round]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  return { data: state.data, error: state.error, again };
}
