import { expect, test } from "vitest";
import { isOnPath, onPath, readPath, timeOnPath } from "./path";

test("segments of several roots come together at their spans", () => {
  const about = { mode: "default" as const, tolerance: 0, overflow: "clip" as const, traceId: "", complete: true, excluded: [], warnings: [], roots: [] };
  const zeros = { base: "0", values: [0, 0, 0] };
  const path = readPath({
    ...about,
    segments: {
      index: [2, 0, 2, 3], spanId: "", startUnixNano: { base: "7", values: [8, 5, 1, 0] }, endUnixNano: ["16", "15", "12", "9"],
      uncertain: { values: [false, true], codes: [0, 1, 0, 0] },
    },
    spans: {
      index: [0, 1, 2], spanId: "", onPathNanos: zeros, selfNanos: zeros, dragNanos: zeros,
      slackNanos: { base: "0", values: [0, 6, 0] }, savedNanos: { base: "0", values: [9, 0, 4] },
    },
  }, 7n, 5);
  expect(onPath(path, 2)).toEqual({ segments: [{ from: 8, to: 9, uncertain: false }, { from: 1, to: 5, uncertain: false }], slack: 0, saved: 4 });
  expect(onPath(path, 0)?.segments).toEqual([{ from: 5, to: 8, uncertain: true }]);
  expect(onPath(path, 1)).toEqual({ segments: [], slack: 6, saved: 0 });
  expect(onPath(path, 4)).toBeUndefined();
  expect([0, 1, 2, 3, 4].filter((index) => isOnPath(path, index))).toEqual([0, 2, 3]);
  expect([0, 1, 2, 3].map((index) => timeOnPath(path, index))).toEqual([3, 0, 5, 2]);
});
