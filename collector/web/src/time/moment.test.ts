import { expect, test } from "vitest";
import { isMoving, parseMoment, showAge } from "./moment";

const NOW = 1_700_000_000_000_000_000n;

test("moments are relative, numbers of any unit, or what a clock shows", () => {
  const parsed = (text: string): bigint | undefined => parseMoment(text, NOW, "UTC");
  expect([parsed("now"), parsed(" now-90m "), parsed("now-2w")]).toEqual([NOW, NOW - 5_400_000_000_000n, NOW - 1_209_600_000_000_000n]);
  expect(["1700000000", "1700000000000", String(NOW)].map(parsed)).toEqual([NOW, NOW, NOW]);
  expect(parsed("2023-11-14 22:13:20")).toBe(NOW);
  expect(["", "5", "tomorrow", "now+1h", "2023-13-01", "14.11.2023"].map(parsed)).toEqual(Array(6).fill(undefined));
});

test("only what is relative moves", () => {
  expect(["now", "now-1h", "2026-03-01", "1700000000"].map(isMoving)).toEqual([true, true, false, false]);
});

test("ages are told in one unit", () => {
  expect([-1n, 0n, 59n, 60n, 7200n, 200_000n].map((seconds) => showAge(NOW - seconds * 1_000_000_000n, NOW))).toEqual([
    "in the future", "0s ago", "59s ago", "1m ago", "2h ago", "2d ago",
  ]);
});
