// A trace as the page draws it: bars in drawing order (each span before those below it), in columns, so that a hundred thousand of
// them are a few arrays of numbers. A bar is a place in all of these; an object of it is made only to show it.
import type { Schemas } from "../../api/client";

type Columns = Schemas["WaterfallColumns"]["bars"];
type Integers = Columns["durationNanos"];

/** Texts of which many are alike: each once, and for each bar the place of its own among those. */
export interface Coded {
  values: readonly string[];
  codes: Int32Array;
}

/** Times are nanoseconds since the start of the trace, as numbers: traces are shorter than 2^53 ns, 104 days. */
export interface Bars {
  count: number;
  /** Position of the span in the trace, by which the API names it. */
  index: Int32Array;
  /** For each such position, the place of the bar. */
  place: Int32Array;
  /** Place of the parent's bar; -1 for a root. */
  parent: Int32Array;
  depth: Int32Array;
  /** Of all bars in one text, or one by one. */
  spanIds: string | readonly string[];
  service: Coded;
  name: Coded;
  kind: Coded;
  failed: Uint8Array;
  offset: Float64Array;
  duration: Float64Array;
  self: Float64Array;
  skew: Float64Array;
  children: Int32Array;
  descendants: Int32Array;
  errorsBelow: Int32Array;
  missingParent: Uint8Array;
  precedesParent: Uint8Array;
  outlivesParent: Uint8Array;
}

/** One bar. */
export interface Bar {
  at: number;
  index: number;
  parent: number;
  depth: number;
  spanId: string;
  service: string;
  /** Whether the parent is one of the same service. */
  staysInService: boolean;
  name: string;
  kind: string;
  failed: boolean;
  offset: number;
  duration: number;
  self: number;
  skew: number;
  children: number;
  descendants: number;
  errorsBelow: number;
  missingParent: boolean;
  precedesParent: boolean;
  outlivesParent: boolean;
}

const ID_LENGTH = 16;

/** The bars of an answer that has all of them. `start` is that of the trace. */
export function readBars(columns: Columns, start: bigint): Bars {
  const index = Int32Array.from(columns.index);
  const place = new Int32Array(index.length);
  index.forEach((position, at) => (place[position] = at));
  const failed = columns.status.values.indexOf("error");
  return {
    count: index.length,
    index,
    place,
    parent: Int32Array.from(columns.parentIndex, (position) => (position === null ? -1 : (place[position] as number))),
    depth: Int32Array.from(columns.depth),
    spanIds: typeof columns.spanId === "string" ? columns.spanId : texts(columns.spanId),
    service: coded(columns.service),
    name: coded(columns.name),
    kind: coded(columns.kind),
    failed: Uint8Array.from(columns.status.codes, (code) => (code === failed ? 1 : 0)),
    // A span without a time is drawn at the start.
    offset: numbers(columns.startTimeUnixNano, start).map((time) => Math.max(time, 0)),
    duration: numbers(columns.durationNanos),
    self: numbers(columns.selfNanos),
    skew: numbers(columns.skewNanos),
    children: Int32Array.from(columns.children),
    descendants: Int32Array.from(columns.descendants),
    errorsBelow: Int32Array.from(columns.errorsBelow),
    missingParent: flags(columns.missingParent),
    precedesParent: flags(columns.precedesParent),
    outlivesParent: flags(columns.outlivesParent),
  };
}

/** Nanoseconds from a moment on, as numbers; the API gives them as texts where they would not be exact. */
export function numbers(column: Integers, from = 0n): Float64Array {
  if (Array.isArray(column)) return Float64Array.from(column, (text) => Number(BigInt(text) - from));
  const base = Number(BigInt(column.base) - from);
  return Float64Array.from(column.values, (value) => base + value);
}

/** 1 where it is so. */
export function flags({ values, codes }: Columns["missingParent"]): Uint8Array {
  return Uint8Array.from(codes, (code) => (values[code] ? 1 : 0));
}

function coded({ values, codes }: Columns["service"]): Coded {
  return { values, codes: Int32Array.from(codes) };
}

function texts({ values, codes }: Columns["service"]): string[] {
  return codes.map((code) => values[code] as string);
}

/** The text of a bar in one of the columns of texts. */
export function textAt({ values, codes }: Coded, at: number): string {
  return values[codes[at] as number] as string;
}

/** The id of the span of a bar. */
export function spanIdAt({ spanIds }: Bars, at: number): string {
  return typeof spanIds === "string" ? spanIds.slice(at * ID_LENGTH, (at + 1) * ID_LENGTH) : (spanIds[at] as string);
}

/** Of traces that somebody names spans of, the first place of each id: to look through a hundred thousand ids for each of some takes longer
 * than to write all of them down. */
const firstPlaces = new WeakMap<Bars, ReadonlyMap<string, number>>();

/** The first place of a span with an id; -1 for none. */
export function firstWithId(bars: Bars, id: string): number {
  let first = firstPlaces.get(bars);
  if (!first) {
    const written = new Map<string, number>();
    for (let at = bars.count - 1; at >= 0; at--) written.set(spanIdAt(bars, at), at);
    firstPlaces.set(bars, (first = written));
  }
  return first.get(id) ?? -1;
}

/** How many spans of the trace come before the one of a bar and have its id, service, name and kind. */
export function alikeBefore(bars: Bars, at: number): number {
  const id = spanIdAt(bars, at);
  const isAlike = (other: number): boolean => [bars.service, bars.name, bars.kind].every(({ codes }) => codes[other] === codes[at]);
  return placesOf(bars, (other) => (bars.index[other] as number) < (bars.index[at] as number) && isAlike(other) && spanIdAt(bars, other) === id).length;
}

/** The bar at a place that there is. */
export function barAt(bars: Bars, at: number): Bar {
  const parent = bars.parent[at] as number;
  return {
    at,
    index: bars.index[at] as number,
    parent,
    depth: bars.depth[at] as number,
    spanId: spanIdAt(bars, at),
    service: textAt(bars.service, at),
    staysInService: parent >= 0 && bars.service.codes[parent] === bars.service.codes[at],
    name: textAt(bars.name, at),
    kind: textAt(bars.kind, at),
    failed: bars.failed[at] === 1,
    offset: bars.offset[at] as number,
    duration: bars.duration[at] as number,
    self: bars.self[at] as number,
    skew: bars.skew[at] as number,
    children: bars.children[at] as number,
    descendants: bars.descendants[at] as number,
    errorsBelow: bars.errorsBelow[at] as number,
    missingParent: bars.missingParent[at] === 1,
    precedesParent: bars.precedesParent[at] === 1,
    outlivesParent: bars.outlivesParent[at] === 1,
  };
}

/** The place behind the last bar below one. */
export function endOf(bars: Bars, at: number): number {
  return at + 1 + (bars.descendants[at] as number);
}

/** Places of the bars that are to be seen, in order.
 *
 * `collapsed` have nothing shown below them; `focus` is the only subtree that is shown, -1 for all. */
export function visible(bars: Bars, collapsed: ReadonlySet<number>, focus: number): Int32Array {
  const result = new Int32Array(bars.count);
  let count = 0;
  const last = focus < 0 ? bars.count : endOf(bars, focus);
  for (let at = Math.max(focus, 0); at < last; ) {
    result[count++] = at;
    at = collapsed.has(at) ? endOf(bars, at) : at + 1;
  }
  return result.subarray(0, count);
}

/** Bars whose parts of the tree have to be opened so that one of them can be seen. */
export function ancestors(bars: Bars, at: number): number[] {
  const result: number[] = [];
  for (let parent = bars.parent[at] ?? -1; parent >= 0; parent = bars.parent[parent] as number) result.push(parent);
  return result;
}

/** Places for which something holds. */
export function placesOf(bars: Bars, holds: (at: number) => boolean): number[] {
  const result: number[] = [];
  for (let at = 0; at < bars.count; at++) if (holds(at)) result.push(at);
  return result;
}

/** Tells of a bar whether it has a text in its service or name, or as its id, in either case. */
export function matcher(bars: Bars, text: string): (at: number) => boolean {
  const wanted = text.toLowerCase();
  const holds = (column: Coded): boolean[] => column.values.map((value) => value.toLowerCase().includes(wanted));
  const [services, names] = [holds(bars.service), holds(bars.name)];
  return (at) => Boolean(services[bars.service.codes[at] as number] || names[bars.name.codes[at] as number]) || spanIdAt(bars, at) === wanted;
}

/** The next place behind `at` (before it, if `step` is -1) for which the test holds, going round; -1 if there is none. */
export function nextPlace(count: number, at: number, step: 1 | -1, holds: (at: number) => boolean): number {
  for (let tried = 1; tried <= count; tried++) {
    const place = (((at + step * tried) % count) + count) % count;
    if (holds(place)) return place;
  }
  return -1;
}

/** The place with the greatest weight among those with less than the one at `at`, or the greatest of all where there is none; `step` -1
 * goes the other way. Of places of the same weight the earlier is taken to have more. */
export function nextByWeight(weights: Float64Array, at: number, step: 1 | -1): number {
  // Above 0 where the first of two places comes later in that order.
  const order = (one: number, other: number): number => step * ((weights[other] as number) - (weights[one] as number) || one - other);
  let [first, next] = [-1, -1];
  for (let place = 0; place < weights.length; place++) {
    if (first < 0 || order(place, first) < 0) first = place;
    if (at >= 0 && order(place, at) > 0 && (next < 0 || order(place, next) < 0)) next = place;
  }
  return next < 0 ? first : next;
}

/** Repeats: siblings with the service and name of the one before, that call something. */
export function repeats(bars: Bars): number[] {
  const result: number[] = [];
  for (let at = 0; at < bars.count; at++) {
    const next = endOf(bars, at);
    if (
      next < bars.count && bars.children[next] && bars.parent[next] === bars.parent[at]
      && bars.name.codes[next] === bars.name.codes[at] && bars.service.codes[next] === bars.service.codes[at]
    ) result.push(next);
  }
  return result;
}
