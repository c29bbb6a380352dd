import { expect, test } from "vitest";
import { columnOf, growth, stepStarts } from "./steps";

const MINUTE = 60_000_000_000n;

test("every step has a place, but the one that is not over", () => {
  expect(stepStarts({ start: 61n * MINUTE + 5n, end: 64n * MINUTE }, MINUTE, 70n * MINUTE)).toEqual([3660, 3720, 3780]);
  expect(stepStarts({ start: 60n * MINUTE, end: 64n * MINUTE }, MINUTE, 63n * MINUTE + 30n)).toEqual([3600, 3660, 3720]);
  expect(stepStarts({ start: 60n * MINUTE, end: 62n * MINUTE }, MINUTE, 60n * MINUTE)).toEqual([3600, 3660]);
});

test("what did not happen counts as told", () => {
  const points = [{ startUnixNano: String(61n * MINUTE), rate: 2 }, { startUnixNano: String(62n * MINUTE), rate: "NaN" }];
  expect(columnOf(points, [3600, 3660, 3720], (point) => point.rate, 0)).toEqual([0, 2, 0]);
  expect(columnOf(points, [3600, 3660, 3720], (point) => point.rate, null)).toEqual([null, 2, null]);
});

test("growth is a share of what was before, where there was something", () => {
  expect([growth(3, 2), growth(1, 2), growth(1, 0), growth(undefined, 2), growth("NaN", 1)]).toEqual([0.5, -0.5, null, null, null]);
});
