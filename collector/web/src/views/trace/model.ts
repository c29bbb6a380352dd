// A trace as the waterfall draws it: bars in drawing order (each span before those below it), and which of them are to be seen.
import type { Schemas } from "../../api/client";

type Waterfall = Schemas["Waterfall"];
export type RawBar = Waterfall["bars"][number];

/** One bar. Times are nanoseconds since the start of the trace, as numbers: traces are shorter than 2^53 ns, 104 days. */
export interface Bar {
  /** Place in drawing order. */
  at: number;
  /** Position of the span in the trace, by which the API names it. */
  index: number;
  /** Place of the parent's bar; -1 for a root. */
  parent: number;
  depth: number;
  spanId: string;
  service: string;
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
  /** How many spans the bar stands for, where equal ones are drawn as one. */
  repeats: number;
}

/** Bars of an answer, to be put behind those that are there. */
export function readBars(raw: readonly RawBar[], before: readonly Bar[]): Bar[] {
  const places = new Map<number, number>();
  for (const bar of before) places.set(bar.index, bar.at);
  return raw.map((bar, position) => {
    const at = before.length + position;
    places.set(bar.index, at);
    return {
      at,
      index: bar.index,
      parent: bar.parentIndex === null ? -1 : (places.get(bar.parentIndex) ?? -1),
      depth: bar.depth,
      spanId: bar.spanId,
      service: bar.service,
      name: bar.name,
      kind: bar.kind,
      failed: bar.status === "error",
      offset: Number(bar.offsetNanos),
      duration: Number(bar.durationNanos),
      self: Number(bar.selfNanos),
      skew: Number(bar.skewNanos),
      children: bar.children,
      descendants: bar.descendants,
      errorsBelow: bar.errorsBelow,
      missingParent: bar.missingParent,
      precedesParent: bar.precedesParent,
      outlivesParent: bar.outlivesParent,
      repeats: bar.repeat?.spanCount ?? 1,
    };
  });
}

/** For each bar, the place behind its last descendant's. */
export function ends(bars: readonly Bar[]): Int32Array {
  const result = new Int32Array(bars.length);
  const open: number[] = [];
  for (const bar of bars) {
    while (open.length && (bars[open[open.length - 1] as number] as Bar).depth >= bar.depth) result[open.pop() as number] = bar.at;
    open.push(bar.at);
  }
  for (const at of open) result[at] = bars.length;
  return result;
}

/** Places of the bars that are to be seen, in order.
 *
 * `collapsed` have nothing shown below them; `focus` is the only subtree that is shown, -1 for all. */
export function visible(bars: readonly Bar[], end: Int32Array, collapsed: ReadonlySet<number>, focus: number): Int32Array {
  const result = new Int32Array(bars.length);
  let count = 0;
  const last = focus < 0 ? bars.length : (end[focus] as number);
  for (let at = Math.max(focus, 0); at < last; ) {
    result[count++] = at;
    at = collapsed.has(at) ? (end[at] as number) : at + 1;
  }
  return result.subarray(0, count);
}

/** Bars whose parts of the tree have to be opened so that one of them can be seen. */
export function ancestors(bars: readonly Bar[], at: number): number[] {
  const result: number[] = [];
  for (let parent = bars[at]?.parent ?? -1; parent >= 0; parent = bars[parent]?.parent ?? -1) result.push(parent);
  return result;
}

/** Whether a bar has a text in its service, name or id, in either case. */
export function matches(bar: Bar, text: string): boolean {
  const wanted = text.toLowerCase();
  return bar.name.toLowerCase().includes(wanted) || bar.service.toLowerCase().includes(wanted) || bar.spanId === wanted;
}

/** The next place behind `at` (before it, if `step` is -1) for which the test holds, going round; -1 if there is none. */
export function nextPlace(count: number, at: number, step: 1 | -1, holds: (at: number) => boolean): number {
  for (let tried = 1; tried <= count; tried++) {
    const place = (((at + step * tried) % count) + count) % count;
    if (holds(place)) return place;
  }
  return -1;
}
