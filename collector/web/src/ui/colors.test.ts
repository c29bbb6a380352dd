import { expect, test } from "vitest";
import { colorIndex, colorsTogether } from "./colors";

const NAMES = Array.from({ length: 24 }, (_, at) => `service-${at}`);

test("services that are seen together have colours of their own, whatever their order", () => {
  const colors = colorsTogether(NAMES);
  expect(new Set(colors.values()).size).toBe(24);
  expect(colorsTogether([...NAMES].reverse())).toEqual(colors);
});

test("a service keeps its colour where no other has one like it", () => {
  expect(colorsTogether(["checkout"]).get("checkout")).toBe(colorIndex("checkout"));
  const [first, second] = [...colorsTogether(["a", "b"]).values()] as [number, number];
  const apart = Math.abs((first - second) * 137.5) % 360;
  expect(Math.min(apart, 360 - apart)).toBeGreaterThanOrEqual(90);
});

test("where there are more services than colours, all have one", () => {
  const colors = colorsTogether([...NAMES, "one-more", "and-another"]);
  expect(colors.size).toBe(26);
  expect(new Set(colors.values()).size).toBe(24);
});
