import { expect, test } from "vitest";
import { ancestors, barAt, matcher, nextByWeight, nextPlace, readBars, repeats, visible, type Bars } from "./model";

/** Bars with these depths, whose other values follow from them, unless said. */
function forest(depths: number[], said: Partial<Parameters<typeof readBars>[0]> = {}): Bars {
  const path: number[] = [];
  const parents = depths.map((depth, at) => {
    path.length = depth;
    path.push(at);
    return depth ? (path[depth - 1] as number) : null;
  });
  const zeros = depths.map(() => 0);
  const descendants = depths.map((depth, at) => {
    const next = depths.findIndex((other, behind) => behind > at && other <= depth);
    return (next < 0 ? depths.length : next) - at - 1;
  });
  const same = { values: ["a"], codes: zeros };
  const no = { values: [false], codes: zeros };
  const nothing = { base: "0", values: zeros };
  const columns = {
    index: depths.map((_, at) => at), parentIndex: parents, depth: depths, spanId: "0".repeat(16 * depths.length),
    service: same, name: same, kind: same, status: { values: ["unset"], codes: zeros },
    startTimeUnixNano: nothing, offsetNanos: nothing, durationNanos: nothing, selfNanos: nothing, skewNanos: nothing,
    children: descendants, descendants, errorsBelow: zeros, omitted: zeros,
    missingParent: no, precedesParent: no, outlivesParent: no, repeat: { values: [null], codes: zeros }, ...said,
  };
  return readBars(columns, START);
}

const START = 1_700_000_000_000_000_000n;

test("columns become bars", () => {
  const bars = forest([0, 1], {
    index: [1, 0], parentIndex: [null, 1], spanId: `${"a".repeat(16)}${"b".repeat(16)}`,
    name: { values: ["GET", "PUT"], codes: [1, 0] }, status: { values: ["error", "unset"], codes: [1, 0] },
    startTimeUnixNano: { base: "1700000000000000000", values: [0, 5] }, missingParent: { values: [true, false], codes: [0, 1] },
  });
  expect(barAt(bars, 0)).toMatchObject({ index: 1, parent: -1, spanId: "a".repeat(16), name: "PUT", failed: false, offset: 0, missingParent: true });
  expect(barAt(bars, 1)).toMatchObject({ index: 0, parent: 0, spanId: "b".repeat(16), name: "GET", failed: true, offset: 5, missingParent: false });
  expect([...bars.place]).toEqual([1, 0]);
  expect([0, 1].filter(matcher(bars, "pu"))).toEqual([0]);
  expect([0, 1].filter(matcher(bars, "B".repeat(16)))).toEqual([1]);
});

test("odd ids and times too far apart are read as well", () => {
  const bars = forest([0, 1], { spanId: { values: ["x", "yz"], codes: [1, 0] }, startTimeUnixNano: ["0", String(START + 7n)] });
  expect([0, 1].map((at) => [barAt(bars, at).spanId, barAt(bars, at).offset])).toEqual([["yz", 0], ["x", 7]]);
});

test("what is collapsed hides what is below it, and only that", () => {
  const bars = forest([0, 1, 2, 2, 1, 0, 1]);
  expect([...visible(bars, new Set(), -1)]).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect([...visible(bars, new Set([1, 5]), -1)]).toEqual([0, 1, 4, 5]);
  expect([...visible(bars, new Set([0]), 1)]).toEqual([1, 2, 3]);
});

test("siblings that follow each other and have something below them repeat", () => {
  expect(new Set(repeats(forest([0, 1, 2, 1, 2, 1, 0, 1])))).toEqual(new Set([3, 6]));
});

test("ancestors and the next place that fits, going round", () => {
  const bars = forest([0, 1, 2, 2, 1]);
  expect(ancestors(bars, 3)).toEqual([1, 0]);
  expect(nextPlace(5, 4, 1, (at) => at === 1 || at === 3)).toBe(1);
  expect(nextPlace(5, 1, -1, (at) => at === 3)).toBe(3);
  expect(nextPlace(5, 1, 1, () => false)).toBe(-1);
});

test("places by their weights, the greatest first, going round; of equal ones the earlier", () => {
  const weights = Float64Array.of(3, 9, 3, 0, 9);
  const walk = (step: 1 | -1): number[] => {
    const places = [nextByWeight(weights, -1, step)];
    while (places.length < 6) places.push(nextByWeight(weights, places[places.length - 1] as number, step));
    return places;
  };
  expect(walk(1)).toEqual([1, 4, 0, 2, 3, 1]);
  expect(walk(-1)).toEqual([3, 2, 0, 4, 1, 3]);
  expect(nextByWeight(new Float64Array(), -1, 1)).toBe(-1);
});
