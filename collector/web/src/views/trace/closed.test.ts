import { expect, test } from "vitest";
import { closedPlaces, turned } from "./closed";
import type { Bars } from "./model";

/** A root that calls two of the same name, which call something; spans are in the other order than bars. */
const BARS = {
  count: 5, index: Int32Array.of(4, 3, 2, 1, 0), place: Int32Array.of(4, 3, 2, 1, 0), depth: Int32Array.of(0, 1, 2, 1, 2),
  parent: Int32Array.of(-1, 0, 1, 0, 3), children: Int32Array.of(2, 1, 0, 1, 0), descendants: Int32Array.of(4, 1, 0, 1, 0),
  service: { values: ["a"], codes: new Int32Array(5) }, name: { values: ["a"], codes: new Int32Array(5) },
} as unknown as Bars;

test("spans are closed by a button, by their positions, or both", () => {
  const places = (text: string): number[] => [...closedPlaces(BARS, text)].sort();
  expect(["", "all", "repeats", "3.1", "all.3", "repeats.4", "repeats.1"].map(places)).toEqual([[], [1, 3], [3], [1, 3], [3], [0, 3], []]);
  expect(["99", "x", "-1", "constructor", "all.x.99"].map(places)).toEqual([[], [], [], [], [1, 3]]);
});

test("what is turned twice is as it was", () => {
  expect([turned("", [3]), turned("3", [1]), turned("3.1", [3]), turned("all", [3, 1]), turned("all.3", [3])]).toEqual(["3", "3.1", "1", "all.3.1", "all"]);
});

test("an address does not grow without bounds", () => {
  const text = turned("all", Array.from({ length: 10_000 }, (_, at) => at));
  expect(text.length).toBeLessThan(4000);
  expect(text.endsWith(".9999")).toBe(true);
});
