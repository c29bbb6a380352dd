import { expect, test } from "vitest";
import { rowsOf, type Band } from "./bands";

function band(means: Record<string, number>): Band {
  const contributions = Object.entries(means).map(([service, meanNanos]) => ({ path: [{ service, operation: "" }], meanNanos }));
  return { contributions } as unknown as Band;
}

test("what the slow traces waited for longer comes first", () => {
  const rows = rowsOf([band({ db: 5, web: 3 }), band({ web: 9, db: 6, cache: 4 })]);
  expect(rows.map(({ name, more }) => [name, more])).toEqual([["web", 6], ["cache", 4], ["db", 1]]);
  expect(rows[1]?.cells.map((cell) => cell?.meanNanos)).toEqual([undefined, 4]);
});

test("one band alone is in the order of its own times", () => {
  expect(rowsOf([band({ db: 5, web: 8 })]).map(({ name, more }) => [name, more])).toEqual([["web", 8], ["db", 5]]);
});
