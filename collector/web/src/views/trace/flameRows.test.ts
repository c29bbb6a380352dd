import { expect, test } from "vitest";
import { flameRows } from "./flameRows";
import type { Bars } from "./model";

/** Bars of [depth, start, end], each below the one before it that is less deep. */
function barsOf(spans: readonly (readonly [depth: number, start: number, end: number])[]): Bars {
  const path: number[] = [];
  const parent = spans.map(([depth], at) => {
    path.length = depth;
    path.push(at);
    return depth ? (path[depth - 1] as number) : -1;
  });
  const descendants = spans.map(([depth], at) => {
    const next = spans.findIndex(([other], behind) => behind > at && other <= depth);
    return (next < 0 ? spans.length : next) - at - 1;
  });
  return {
    count: spans.length, parent: Int32Array.from(parent), descendants: Int32Array.from(descendants),
    offset: Float64Array.from(spans, ([, start]) => start), duration: Float64Array.from(spans, ([, start, end]) => end - start),
  } as unknown as Bars;
}

const rows = (...spans: (readonly [number, number, number])[]): number[] => [...flameRows(barsOf(spans))];

test("what runs one after the other stands side by side, what runs at once below one another with all that it calls", () => {
  expect(rows([0, 0, 9], [1, 0, 4], [2, 1, 3], [1, 4, 9])).toEqual([0, 1, 2, 1]);
  expect(rows([0, 0, 9], [1, 0, 6], [2, 1, 3], [1, 5, 9], [2, 5, 8], [1, 7, 8])).toEqual([0, 1, 2, 3, 4, 1]);
});

test("what outlasts its parent keeps others away from there, and roots keep away from each other", () => {
  expect(rows([0, 0, 9], [1, 0, 2], [2, 1, 6], [1, 3, 9])).toEqual([0, 2, 3, 1]);
  expect(rows([0, 0, 5], [1, 1, 4], [0, 2, 9], [0, 5, 9])).toEqual([1, 2, 0, 1]);
});

test("what overlaps for less than can be seen is side by side, and rows have a bound", () => {
  expect(rows([0, 0, 100_000], [1, 0, 50_000], [1, 49_990, 99_000])).toEqual([0, 1, 1]);
  const many = rows([0, 0, 9], ...Array.from({ length: 1000 }, () => [1, 1, 8] as const));
  expect(Math.max(...many)).toBeLessThan(50);
});
