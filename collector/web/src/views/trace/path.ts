// The critical path, in columns by the position of each span in the trace.
import type { Schemas } from "../../api/client";
import { flags, numbers } from "./model";

/** Times are nanoseconds since the start of the trace. */
export interface CriticalPath {
  /** For each span the place of its first segment; those of the next span begin where its own end. */
  first: Int32Array;
  from: Float64Array;
  to: Float64Array;
  uncertain: Uint8Array;
  /** Whether a span was compared with its siblings at all. */
  known: Uint8Array;
  slack: Float64Array;
  saved: Float64Array;
}

/** What a span has to do with the critical path. */
export interface OnPath {
  /** Parts of its time that the root's end was waiting for. */
  segments: { from: number; to: number; uncertain: boolean }[];
  /** How much longer it could have taken without delaying its parent; of spans that are not on the path. */
  slack: number;
  /** How much sooner the trace would end without it. */
  saved: number;
}

/** `start` is that of the trace, which has so many spans. */
export function readPath({ segments, spans }: Schemas["CriticalPathColumns"], start: bigint, count: number): CriticalPath {
  const first = new Int32Array(count + 1);
  for (const index of segments.index) first[index + 1] = (first[index + 1] as number) + 1;
  for (let at = 0; at < count; at++) first[at + 1] = (first[at + 1] as number) + (first[at] as number);
  // Where each segment belongs, so that those of one span stand together.
  const next = first.slice();
  const places = Int32Array.from(segments.index, (index) => (next[index] = (next[index] as number) + 1) - 1);
  return {
    first,
    from: spread(new Float64Array(places.length), places, numbers(segments.startUnixNano, start)),
    to: spread(new Float64Array(places.length), places, numbers(segments.endUnixNano, start)),
    uncertain: spread(new Uint8Array(places.length), places, flags(segments.uncertain)),
    known: spread(new Uint8Array(count), spans.index, new Uint8Array(spans.index.length).fill(1)),
    slack: spread(new Float64Array(count), spans.index, numbers(spans.slackNanos)),
    saved: spread(new Float64Array(count), spans.index, numbers(spans.savedNanos)),
  };
}

/** Puts each value to its place. */
function spread<T extends Float64Array | Uint8Array>(target: T, places: ArrayLike<number>, values: T): T {
  for (let at = 0; at < places.length; at++) target[places[at] as number] = values[at] as number;
  return target;
}

export function isOnPath({ first }: CriticalPath, index: number): boolean {
  return (first[index] as number) < (first[index + 1] as number);
}

/** How long the root waited for a span itself. */
export function timeOnPath({ first, from, to }: CriticalPath, index: number): number {
  let time = 0;
  for (let at = first[index] as number; at < (first[index + 1] as number); at++) time += (to[at] as number) - (from[at] as number);
  return time;
}

/** What a span has to do with the path; undefined where nobody could have waited for it. */
export function onPath(path: CriticalPath, index: number): OnPath | undefined {
  if (!path.known[index]) return undefined;
  const segments = [];
  for (let at = path.first[index] as number; at < (path.first[index + 1] as number); at++) {
    segments.push({ from: path.from[at] as number, to: path.to[at] as number, uncertain: path.uncertain[at] === 1 });
  }
  return { segments, slack: path.slack[index] as number, saved: path.saved[index] as number };
}
