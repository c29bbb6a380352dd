import { expect, test } from "vitest";
import { boxAt, boxText, durationWithin, gridOf, nextCell, placesOf, readBox } from "./heatMap";

function cell(start: number, min: number, max: number, count: number) {
  return { startUnixNano: String(start), endUnixNano: String(start + 10), minNanos: String(min), maxNanos: String(max), spans: count, count, errors: 0, search: {} };
}

const MAP = { startUnixNano: "15", endUnixNano: "37", stepNanos: "10", cells: [cell(15, 46, 63, 1), cell(30, 16, 22, 4), cell(30, 46, 63, 2)] };
const GRID = gridOf(MAP);

test("cells stand by step and by duration, the first step being cut, and rows between them are there", () => {
  expect(GRID.columns).toBe(3);
  expect(GRID.rows).toEqual([{ from: 16, to: 22 }, { from: 23, to: 31 }, { from: 32, to: 45 }, { from: 46, to: 63 }]);
  expect(GRID.most).toBe(4);
  expect(GRID.cells.map(({ column, row }) => [column, row])).toEqual([[0, 3], [2, 0], [2, 3]]);
  expect(["ArrowRight", "ArrowLeft", "ArrowDown", "Enter"].map((key) => nextCell(GRID.cells, 0, key))).toEqual([2, 0, 1, undefined]);
  expect(nextCell(GRID.cells, 1, "ArrowUp")).toBe(2);
});

test("rows count from 0 ns on", () => {
  expect(gridOf({ ...MAP, cells: [cell(15, 0, 0, 1), cell(15, 1, 1, 1)] }).rows).toEqual([{ from: 0, to: 0 }, { from: 1, to: 1 }]);
});

test("most spans stay within the upper end of a row", () => {
  expect([0, 0.5, 0.6, 1].map((share) => durationWithin(GRID, share))).toEqual([22, 22, 45, 45]);
});

test("a part of the map is known by its times and durations, in either direction, and found again", () => {
  const box = boxAt(MAP, GRID, [2, 3, 1, 2]);
  expect(box).toEqual({ start: 20n, end: 37n, durations: { from: 32, to: 63 } });
  expect(readBox(boxText(box))).toEqual(box);
  expect(placesOf(MAP, GRID, box)).toEqual([1, 2, 2, 3]);
  expect(placesOf(MAP, GRID, { start: 0n, end: 10n, durations: undefined })).toBeUndefined();
});

test("a part over all rows is one of all durations", () => {
  const box = boxAt(MAP, GRID, [0, 0, 0, 3]);
  expect(box).toEqual({ start: 15n, end: 20n, durations: undefined });
  expect(boxText(box)).toBe("15-20");
  expect(placesOf(MAP, GRID, box)).toEqual([0, 0, 0, 3]);
  expect(["", "20-15", "15", "a-b"].map(readBox)).toEqual(Array(4).fill(undefined));
});
