// Values over time as charts want them: one for each step of a range, also where nothing happened.
import type { TimeRange } from "../time/range";

/** A value over time; null where there is none, which is not 0. */
export type Column = readonly (number | null)[];

export interface Steps {
  /** When each begins, in seconds since 1970. */
  starts: number[];
  /** How much of the last one is over, from 0 to 1. */
  over: number;
}

/** Spans take a while to come: of a step that has just begun, nothing can be told. */
const TOO_NEW = 30_000_000_000n;

/** All steps of a range that had begun by `now`. */
export function stepsOf(range: TimeRange, step: bigint, now: bigint): Steps {
  const starts: bigint[] = [];
  for (let start = (range.start / step) * step; start < range.end && (start + TOO_NEW <= now || starts.length < 2); start += step) starts.push(start);
  const passed = now - (starts.at(-1) ?? 0n);
  return { starts: starts.map(secondsOf), over: passed >= step || passed <= 0n ? 1 : Number(passed) / Number(step) };
}

/** The values of points at the steps; `absent` where there is no point. */
export function columnOf<Point extends { startUnixNano: string }>(
  points: readonly Point[], { starts }: Steps, valueOf: (point: Point) => number | string | null | undefined, absent: number | null,
): Column {
  const known = new Map(points.map((point) => [secondsOf(BigInt(point.startUnixNano)), point]));
  return starts.map((start) => {
    const point = known.get(start);
    const value = point && valueOf(point);
    const number = Number(value);
    return value === null || value === undefined || !Number.isFinite(number) ? absent : number;
  });
}

/** Rates at the steps, 0 where there is no point. That of a step which is not over is of the time that has passed: it would look like a fall. */
export function ratesOf<Point extends { startUnixNano: string }>(
  points: readonly Point[], steps: Steps, valueOf: (point: Point) => number | string | null | undefined,
): Column {
  const column = columnOf(points, steps, valueOf, 0);
  return column.map((value, at) => (value !== null && at === column.length - 1 ? value / steps.over : value));
}

function secondsOf(ns: bigint): number {
  return Number(ns / 1_000_000n) / 1000;
}

/** Seconds since 1970, which need not be whole, in nanoseconds. */
export function nanosOf(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1000)) * 1_000_000n;
}

/** How much more a value is than before, as a share of that; null where before was nothing. */
export function growth(now: number | string | undefined, before: number | string | undefined): number | null {
  const [current, previous] = [Number(now), Number(before)];
  return Number.isFinite(current) && Number.isFinite(previous) && previous !== 0 ? current / previous - 1 : null;
}
