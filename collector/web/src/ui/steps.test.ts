import { expect, test } from "vitest";
import { columnOf, growth, nanosOf, ratesOf, stepsOf } from "./steps";

const MINUTE = 60_000_000_000n;

test("every step that has begun has a place", () => {
  expect(stepsOf({ start: 61n * MINUTE + 5n, end: 64n * MINUTE }, MINUTE, 70n * MINUTE)).toEqual({ starts: [3660, 3720, 3780], over: 1 });
  const half = (63n * MINUTE) + MINUTE / 2n;
  expect(stepsOf({ start: 60n * MINUTE, end: 64n * MINUTE }, MINUTE, half)).toEqual({ starts: [3600, 3660, 3720, 3780], over: 0.5 });
  expect(stepsOf({ start: 60n * MINUTE, end: 64n * MINUTE }, MINUTE, half - 1n)).toEqual({ starts: [3600, 3660, 3720], over: 1 });
  expect(stepsOf({ start: 60n * MINUTE, end: 62n * MINUTE }, MINUTE, 60n * MINUTE)).toEqual({ starts: [3600, 3660], over: 1 });
});

test("what did not happen counts as told, and what goes on is not taken for less", () => {
  const points = [{ startUnixNano: String(61n * MINUTE), rate: 2 }, { startUnixNano: String(62n * MINUTE), rate: "NaN" }];
  const steps = { starts: [3600, 3660, 3720], over: 1 };
  expect(columnOf(points, steps, (point) => point.rate, null)).toEqual([null, 2, null]);
  expect(ratesOf(points, steps, (point) => point.rate)).toEqual([0, 2, 0]);
  expect(ratesOf(points, { starts: [3600, 3660], over: 0.25 }, (point) => point.rate)).toEqual([0, 8]);
});

test("seconds need not be whole", () => {
  expect(nanosOf(1_700_000_000.123)).toBe(1_700_000_000_123_000_000n);
});

test("growth is a share of what was before, where there was something", () => {
  expect([growth(3, 2), growth(1, 2), growth(1, 0), growth(undefined, 2), growth("NaN", 1)]).toEqual([0.5, -0.5, null, null, null]);
});
