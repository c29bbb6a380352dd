import { expect, test } from "vitest";
import { axisLabels, readZoom, shownPart, zoomText, zoomedBy } from "./zoom";

test("the part of the time that is shown is all of it, unless the URL names one", () => {
  expect(readZoom("", 100)).toEqual({ from: 0, to: 100 });
  expect(["70-30", "x", "5", "1-2-3"].map((text) => readZoom(text, 100))).toEqual(Array(4).fill({ from: 0, to: 100 }));
  expect(readZoom(zoomText({ from: 19.6, to: 40.2 }), 100)).toEqual({ from: 20, to: 40 });
});

test("the axis tells times apart, however long the trace and however short the part that is shown", () => {
  const day = 86_400e9;
  expect(axisLabels({ from: 0, to: 1000 })).toEqual(["0", "250 ns", "500 ns", "750 ns", "1.00 µs"]);
  expect(axisLabels({ from: 0, to: 400 * day })).toEqual(["0", "100 d 0 h", "200 d 0 h", "300 d 0 h", "400 d 0 h"]);
  expect(axisLabels({ from: 12_501e6, to: 12_502e6 })).toEqual(["12.5 s", "+250 µs", "+500 µs", "+750 µs", "+1.00 ms"]);
  expect(axisLabels({ from: 200 * day, to: 200 * day + 4e9 })).toEqual(["200 d 0 h", "+1.00 s", "+2.00 s", "+3.00 s", "+4.00 s"]);
  expect(axisLabels({ from: 0, to: 1 })).toEqual(["0", "1 ns"]);
});

test("what lies outside of what is shown is cut off", () => {
  const zoom = { from: 20, to: 40 };
  expect(shownPart(zoom, 25, 30)).toEqual({ from: 25, to: 50, isOutside: false });
  expect(shownPart(zoom, 0, 30)).toEqual({ from: 0, to: 50, isOutside: false });
  expect(shownPart(zoom, 50, 60)).toEqual({ from: 100, to: 100, isOutside: true });
  const outside = (from: number, to: number): boolean => shownPart(zoom, from, to).isOutside;
  expect([outside(10, 20), outside(40, 50), outside(19, 19), outside(20, 20), outside(40, 40)]).toEqual([true, true, true, false, false]);
});

test("keys move a part within the trace, halve it and double it, until it is all there is", () => {
  const by = (key: string, from: number, to: number) => zoomedBy(key, { from, to }, 100);
  expect([by("ArrowRight", 0, 40), by("ArrowRight", 58, 98), by("ArrowLeft", 5, 45)]).toEqual([{ from: 10, to: 50 }, { from: 60, to: 100 }, { from: 0, to: 40 }]);
  expect([by("Home", 30, 40), by("End", 30, 40)]).toEqual([{ from: 0, to: 10 }, { from: 90, to: 100 }]);
  expect([by("ArrowUp", 0, 100), by("ArrowUp", 50, 52)]).toEqual([{ from: 25, to: 75 }, { from: 50, to: 52 }]);
  expect([by("ArrowDown", 90, 100), by("ArrowDown", 0, 20), by("ArrowDown", 20, 80)]).toEqual([{ from: 80, to: 100 }, { from: 0, to: 40 }, null]);
  expect([by("Escape", 1, 2), by("x", 1, 2)]).toEqual([null, undefined]);
});
