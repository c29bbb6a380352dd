import { expect, test } from "vitest";
import type { Bars } from "./model";
import { nameOf, placeNamed, traceNamed } from "./named";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test("traces are named by their ids, in either form, or by traceparent", () => {
  expect(traceNamed(` ${TRACE.toUpperCase()}\n`)).toEqual({ traceId: TRACE.toUpperCase(), span: "" });
  expect(traceNamed("4bf92f35-77b3-4da6-a3ce-929d0e0e4736")).toEqual({ traceId: TRACE, span: "" });
  expect(traceNamed(SPAN)).toEqual({ traceId: SPAN, span: "" });
  expect(traceNamed(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, span: SPAN });
  expect(["", "deadbeef", `service = ${TRACE}`, `${TRACE}-`, "x".repeat(32)].map(traceNamed)).toEqual(Array(5).fill(undefined));
});

test("a span is named by its position, or by its id", () => {
  const bars = { count: 2, index: Int32Array.of(1, 0), place: Int32Array.of(1, 0), spanIds: `${"a".repeat(16)}${SPAN}` } as unknown as Bars;
  expect(["0", "1", SPAN, "A".repeat(16)].map((text) => placeNamed(bars, text))).toEqual([1, 0, 1, 0]);
  expect(["", "2", "-1", "x", "1".repeat(16)].map((text) => placeNamed(bars, text))).toEqual(Array(5).fill(-1));
  expect([0, 1].map((at) => nameOf(bars, at))).toEqual(["a".repeat(16), SPAN]);
  expect(placeNamed({ ...bars, spanIds: ["a".repeat(16), SPAN] }, SPAN)).toBe(1);
});

test("an id is found where it begins, and two spans of one id have different names", () => {
  const [id, shifted] = ["0123456789abcdef", "f0123456789abcde"];
  const bars = { count: 3, index: Int32Array.of(2, 0, 1), place: Int32Array.of(1, 2, 0), spanIds: `${shifted}${id}${id}` } as unknown as Bars;
  // Two ids beside each other have a third between them.
  expect([shifted, id, "89abcdef01234567"].map((text) => placeNamed(bars, text))).toEqual([0, 1, -1]);
  expect([0, 1, 2].map((at) => nameOf(bars, at))).toEqual([shifted, id, "1"]);
  expect([0, 1, 2].map((at) => placeNamed(bars, nameOf(bars, at)))).toEqual([0, 1, 2]);
});
