import { expect, test } from "vitest";
import { gridOf, nextCell } from "./heatMap";

function cell(start: number, max: number, count: number) {
  return { startUnixNano: String(start), endUnixNano: String(start + 10), minNanos: String(max / 2), maxNanos: String(max), spans: count, count, errors: 0, search: {} };
}

test("cells stand by step and by duration, the first step being cut", () => {
  const grid = gridOf({ startUnixNano: "15", endUnixNano: "40", stepNanos: "10", cells: [cell(15, 64, 1), cell(30, 16, 4), cell(30, 64, 2)] });
  expect(grid.columns).toBe(3);
  expect(grid.rows).toEqual([16, 64]);
  expect(grid.most).toBe(4);
  expect(grid.cells.map(({ column, row }) => [column, row])).toEqual([[0, 1], [2, 0], [2, 1]]);
  expect(["ArrowRight", "ArrowLeft", "ArrowDown", "Enter"].map((key) => nextCell(grid.cells, 0, key))).toEqual([2, 0, 1, undefined]);
  expect(nextCell(grid.cells, 1, "ArrowUp")).toBe(2);
});
