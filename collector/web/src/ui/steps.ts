// Values over time as charts want them: one for each step of a range, also where nothing happened.
import type { TimeRange } from "../time/range";

/** A value over time; null where there is none, which is not 0. */
export type Column = readonly (number | null)[];

/** Starts of all steps, in seconds since 1970, of which steps that are not over by `now` are left out: they would look like a fall. */
export function stepStarts(range: TimeRange, step: bigint, now: bigint): number[] {
  const starts: number[] = [];
  for (let start = (range.start / step) * step; start < range.end; start += step) {
    if (start + step <= now || starts.length < 2) starts.push(Number(start / 1_000_000n) / 1000);
  }
  return starts;
}

/** The values of points at these starts; `absent` where there is no point. */
export function columnOf<Point extends { startUnixNano: string }>(
  points: readonly Point[], starts: readonly number[], valueOf: (point: Point) => number | string | null | undefined, absent: number | null,
): Column {
  const known = new Map(points.map((point) => [Number(BigInt(point.startUnixNano) / 1_000_000n) / 1000, point]));
  return starts.map((start) => {
    const point = known.get(start);
    const value = point && valueOf(point);
    const number = Number(value);
    return value === null || value === undefined || !Number.isFinite(number) ? absent : number;
  });
}

/** How much more a value is than before, as a share of that; null where before was nothing. */
export function growth(now: number | string | undefined, before: number | string | undefined): number | null {
  const [current, previous] = [Number(now), Number(before)];
  return Number.isFinite(current) && Number.isFinite(previous) && previous !== 0 ? current / previous - 1 : null;
}
