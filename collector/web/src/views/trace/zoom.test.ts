import { expect, test } from "vitest";
import { readZoom, shownPart, zoomText } from "./zoom";

test("the part of the time that is shown is all of it, unless the URL names one", () => {
  expect(readZoom("", 100)).toEqual({ from: 0, to: 100 });
  expect(["70-30", "x", "5", "1-2-3"].map((text) => readZoom(text, 100))).toEqual(Array(4).fill({ from: 0, to: 100 }));
  expect(readZoom(zoomText({ from: 19.6, to: 40.2 }), 100)).toEqual({ from: 20, to: 40 });
});

test("what lies outside of what is shown is cut off", () => {
  const zoom = { from: 20, to: 40 };
  expect(shownPart(zoom, 25, 30)).toEqual({ from: 25, to: 50 });
  expect(shownPart(zoom, 0, 30)).toEqual({ from: 0, to: 50 });
  expect(shownPart(zoom, 50, 60)).toEqual({ from: 100, to: 100 });
});
