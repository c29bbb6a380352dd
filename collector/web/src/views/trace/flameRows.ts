// In which rows of a flame graph spans stand: below what called them, and those that run at the same time below one another, each with
// all that it calls.
import { endOf, type Bars } from "./model";

/** Where that takes more rows, or there are more spans below one, they lie over each other. */
const MOST_ROWS = 40;
const MOST_SIBLINGS = 3000;
/** What overlaps for a smaller share of the trace is not seen to. */
const SEEN = 1 / 2000;

/** A span with all below it, of which others keep clear: rows from `first` to before `end`, from a time until another. */
interface Block {
  first: number;
  end: number;
  from: number;
  until: number;
}

/** The row of each bar, from 0 on. */
export function flameRows(bars: Bars): Int32Array {
  const { count, parent } = bars;
  // Of each bar with all below it: from when to when it lasts, how many rows it takes, and how many of others are above those.
  const from = Float64Array.from(bars.offset);
  const to = from.map((start, at) => start + (bars.duration[at] as number));
  const rows = new Int32Array(count);
  const skipped = new Int32Array(count);
  const seen = to.reduce((last, end) => Math.max(last, end), 0) * SEEN;
  const place = (siblings: number[]): number => {
    const most = siblings.reduce((most, at) => Math.max(most, rows[at] as number), 0);
    if (siblings.length > MOST_SIBLINGS) return most;
    // The longest have the upper rows.
    siblings.sort((one, other) => (bars.duration[other] as number) - (bars.duration[one] as number) || one - other);
    const placed: Block[] = [];
    for (const at of siblings) {
      const [begin, until, height] = [(from[at] as number) + seen, to[at] as number, rows[at] as number];
      const first = freeRow(placed.filter((other) => other.from < until && other.until > begin), height);
      if (first > MOST_ROWS) continue;
      skipped[at] = first;
      placed.push({ first, end: first + height, from: begin, until });
    }
    return placed.reduce((lowest, { end }) => Math.max(lowest, end), most);
  };
  for (let at = count - 1; at >= 0; at--) {
    rows[at] = 1 + place(siblingsFrom(bars, at + 1, endOf(bars, at)));
    const above = parent[at] as number;
    if (above < 0) continue;
    from[above] = Math.min(from[above] as number, from[at] as number);
    to[above] = Math.max(to[above] as number, to[at] as number);
  }
  place(siblingsFrom(bars, 0, count));
  const result = new Int32Array(count);
  for (let at = 0; at < count; at++) {
    const above = parent[at] as number;
    result[at] = (above < 0 ? 0 : (result[above] as number) + 1) + (skipped[at] as number);
  }
  return result;
}

/** Bars of one level, from the place of the first one to before another place. */
function siblingsFrom(bars: Bars, first: number, end: number): number[] {
  const result: number[] = [];
  for (let at = first; at < end; at = endOf(bars, at)) result.push(at);
  return result;
}

/** The first of so many rows in which nothing stands that runs at the same time. */
function freeRow(running: Block[], height: number): number {
  let first = 0;
  for (const other of running.sort((one, another) => one.first - another.first)) if (other.first < first + height) first = Math.max(first, other.end);
  return first;
}
