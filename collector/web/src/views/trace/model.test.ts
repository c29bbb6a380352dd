import { expect, test } from "vitest";
import { ancestors, ends, nextPlace, visible, type Bar } from "./model";

/** Bars with these depths, whose parents follow from them. */
function forest(...depths: number[]): Bar[] {
  const path: number[] = [];
  return depths.map((depth, at) => {
    path.length = depth;
    const parent = depth ? (path[depth - 1] as number) : -1;
    path.push(at);
    return { at, depth, parent } as Bar;
  });
}

test("what is collapsed hides what is below it, and only that", () => {
  const bars = forest(0, 1, 2, 2, 1, 0, 1);
  const end = ends(bars);
  expect([...end]).toEqual([5, 4, 3, 4, 5, 7, 7]);
  expect([...visible(bars, end, new Set(), -1)]).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect([...visible(bars, end, new Set([1, 5]), -1)]).toEqual([0, 1, 4, 5]);
  expect([...visible(bars, end, new Set([0]), 1)]).toEqual([1, 2, 3]);
});

test("ancestors and the next place that fits, going round", () => {
  const bars = forest(0, 1, 2, 2, 1);
  expect(ancestors(bars, 3)).toEqual([1, 0]);
  expect(nextPlace(5, 4, 1, (at) => at === 1 || at === 3)).toBe(1);
  expect(nextPlace(5, 1, -1, (at) => at === 3)).toBe(3);
  expect(nextPlace(5, 1, 1, () => false)).toBe(-1);
});
