import { ask, type Schemas } from "../../api/client";
import { useAsked, type Answered } from "../../api/useAnswer";
import { parameter } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery, type TimeRange } from "../../time/range";

type Red = Schemas["Red"];

const PAGE = 100;
/** A store with more services than that is looked through by name. */
const MOST_PAGES = 5;

/** Rate, errors and durations of all services of a range, page by page. The answer before stays until the new one is whole. */
export function useAllSeries(range: TimeRange): Answered<Red> {
  const workspace = currentWorkspace();
  const { start, end } = rangeQuery(range);
  const read = async (signal: AbortSignal): Promise<Red> => {
    let whole = await ask<Red>("/api/v1/red", { query: { start, end, limit: PAGE }, workspace, signal });
    for (let page = 1; page < MOST_PAGES && whole.nextCursor; page++) {
      const next = await ask<Red>("/api/v1/red", { query: { start, end, limit: PAGE, cursor: whole.nextCursor }, workspace, signal });
      whole = { ...next, series: [...whole.series, ...next.series] };
    }
    return whole;
  };
  return useAsked([workspace, parameter("from"), parameter("to")].join(" "), [workspace, start, end].join(" "), read);
}
