import { expect, test } from "vitest";
import { closedPlaces, turned } from "./closed";
import type { Bars } from "./model";

const id = (number: number): string => number.toString(16).padStart(16, "0");

/** A root that calls two of the same name, which call something; spans are in the other order than bars. The last two have one id. */
const BARS = {
  count: 5, index: Int32Array.of(4, 3, 2, 1, 0), place: Int32Array.of(4, 3, 2, 1, 0), depth: Int32Array.of(0, 1, 2, 1, 2),
  parent: Int32Array.of(-1, 0, 1, 0, 3), children: Int32Array.of(2, 1, 0, 1, 0), descendants: Int32Array.of(4, 1, 0, 1, 0),
  spanIds: [10, 11, 12, 13, 13].map(id).join(""),
  service: { values: ["a"], codes: new Int32Array(5) }, name: { values: ["a"], codes: new Int32Array(5) },
} as unknown as Bars;
const [ROOT, FIRST, SECOND] = [id(10), id(11), id(13)];

test("spans are closed by a button, by their ids or positions, or both", () => {
  const places = (text: string): number[] => [...closedPlaces(BARS, text)].sort();
  expect(["", "all", "repeats", `${SECOND}.${FIRST}`, `all.${FIRST}`, `repeats.${ROOT}`].map(places)).toEqual([[], [1, 3], [3], [1, 3], [3], [0, 3]]);
  expect(["3.1", "all.3", "repeats.1", "0"].map(places)).toEqual([[1, 3], [3], [], [4]]);
  expect(["99", "x", "-1", "constructor", `all.x.${id(99)}.99`].map(places)).toEqual([[], [], [], [], [1, 3]]);
});

test("what is turned twice is as it was, and is named by what stays when others come", () => {
  const told = (text: string, ...places: number[]): string => turned(BARS, text, places);
  expect([told("", 1), told(FIRST, 3), told(`${FIRST}.${SECOND}`, 1)]).toEqual([FIRST, `${FIRST}.${SECOND}`, SECOND]);
  expect([told("all", 1, 3), told(`all.${FIRST}`, 1), told("3.1", 0), told("3"), told("", 4)]).toEqual([
    `all.${FIRST}.${SECOND}`, "all", `${FIRST}.${SECOND}.${ROOT}`, "3", "0",
  ]);
});

test("an address does not grow without bounds", () => {
  const ids = Array.from({ length: 10_000 }, (_, at) => id(at));
  const many = { ...BARS, count: ids.length, spanIds: ids } as Bars;
  const text = turned(many, "all", ids.map((_, at) => at));
  expect(text.length).toBeLessThan(6000);
  expect(text.endsWith(`.${id(9999)}`)).toBe(true);
});
