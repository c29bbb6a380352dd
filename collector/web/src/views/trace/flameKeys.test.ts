import { expect, test } from "vitest";
import { placeBy } from "./flameKeys";
import type { Bars } from "./model";

/** Two roots; the first calls one that fails and calls something, and a longer one. */
const BARS = {
  count: 6, depth: Int32Array.of(0, 1, 2, 1, 0, 1), parent: Int32Array.of(-1, 0, 1, 0, -1, 4), descendants: Int32Array.of(3, 1, 0, 0, 1, 0),
  duration: Float64Array.of(9, 2, 1, 5, 3, 3), failed: Uint8Array.of(0, 1, 0, 0, 0, 1),
} as unknown as Bars;
const from = (at: number, ...keys: string[]): number[] => keys.map((key) => placeBy(key, BARS, at, 0, 6) ?? NaN);

test("keys lead to the longest below, to what is above, and to those beside", () => {
  expect(from(0, "ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft")).toEqual([3, 0, 4, 0]);
  expect(from(2, "j", "k", "l", "h")).toEqual([2, 1, 2, 2]);
  expect(from(3, "ArrowRight", "ArrowLeft", "Home", "End", "e", "E")).toEqual([5, 1, 0, 5, 5, 1]);
  expect(from(-1, "ArrowUp", "End", "x")).toEqual([0, 0, NaN]);
});

test("they stay within what is looked into", () => {
  const within = (at: number, ...keys: string[]): number[] => keys.map((key) => placeBy(key, BARS, at, 1, 3) ?? NaN);
  expect(within(1, "ArrowUp", "ArrowRight", "End", "e")).toEqual([1, 1, 2, 1]);
  expect(within(4, "ArrowDown")).toEqual([1]);
});
