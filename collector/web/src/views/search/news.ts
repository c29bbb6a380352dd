// Traces that come while a search is followed, among those that are shown.
import type { Schemas } from "../../api/client";

type Hit = Schemas["Traces"]["traces"][number];

/** As many as stay on the screen. */
export const MOST = 200;

/** The latest first; those that have changed take their own place. */
export function withNews(shown: readonly Hit[], news: readonly Hit[]): Hit[] {
  const all = new Map([...shown, ...news].map((hit) => [hit.traceId, hit]));
  // Nanoseconds since 1970 have as many digits for the next centuries, and before 2001 fewer.
  const start = (hit: Hit): string => hit.startTimeUnixNano.padStart(20, "0");
  return [...all.values()].sort((one, other) => (start(one) < start(other) ? 1 : -1)).slice(0, MOST);
}
