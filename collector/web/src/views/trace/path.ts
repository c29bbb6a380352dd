// The critical path, by the place of each bar.
import type { Schemas } from "../../api/client";

/** What a span has to do with the critical path. */
export interface OnPath {
  /** Parts of its time that the root's end was waiting for, in nanoseconds since the start of the trace. */
  segments: { from: number; to: number; uncertain: boolean }[];
  /** How much longer it could have taken without delaying its parent; of spans that are not on the path. */
  slack: number;
  drag: number;
  saved: number;
}

/** Index of a span → what it has to do with the path. */
export function readPath(path: Schemas["CriticalPath"], traceStart: bigint): Map<number, OnPath> {
  const result = new Map<number, OnPath>();
  const of = (index: number): OnPath => {
    let found = result.get(index);
    if (!found) result.set(index, (found = { segments: [], slack: 0, drag: 0, saved: 0 }));
    return found;
  };
  for (const root of path.roots) {
    for (const segment of root.segments) {
      const [from, to] = [segment.startUnixNano, segment.endUnixNano].map((time) => Number(BigInt(time) - traceStart));
      of(segment.index).segments.push({ from: from as number, to: to as number, uncertain: segment.uncertain });
    }
    for (const span of root.spans) {
      const found = of(span.index);
      found.slack = Number(span.slackNanos);
      found.drag = Number(span.dragNanos);
      found.saved = Number(span.savedNanos);
    }
  }
  return result;
}
