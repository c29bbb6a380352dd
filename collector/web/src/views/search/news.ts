// Traces that come while a search is followed or its next page is asked for, among those that are shown.
import type { Schemas } from "../../api/client";

type Hit = Schemas["Traces"]["traces"][number];

/** As many as stay on the screen. */
export const MOST = 200;

/** The latest first; those that have changed take their own place. */
export function withNews(shown: readonly Hit[], news: readonly Hit[]): Hit[] {
  const all = new Map<string, Hit>();
  for (const hit of [...shown, ...news]) {
    // Answers may overtake each other; a trace has more spans later.
    if (hit.spanCount >= (all.get(hit.traceId)?.spanCount ?? 0)) all.set(hit.traceId, hit);
  }
  // Nanoseconds since 1970 have as many digits for the next centuries, and before 2001 fewer.
  const start = (hit: Hit): string => hit.startTimeUnixNano.padStart(20, "0");
  return [...all.values()].sort((one, other) => (start(one) < start(other) ? 1 : -1)).slice(0, MOST);
}

/** With the next page behind. What has grown since the pages before came stands where it belongs now. */
export function withPage(shown: readonly Hit[], page: readonly Hit[]): Hit[] {
  const later = new Set(page.map((hit) => hit.traceId));
  return [...shown.filter((hit) => !later.has(hit.traceId)), ...page];
}
