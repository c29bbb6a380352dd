import { expect, test } from "vitest";
import { showCount, showDuration, showName, showRate, showShare } from "./format";

test("durations have three digits and the unit that fits", () => {
  const shown = [0, 999, 1000, 12_345, 1_234_567, 999_400_000, 1_500_000_000, 61e9, 3_720e9, 172_799e9, 172_800e9, 1.5768e18, -5000, Number.NaN].map(showDuration);
  expect(shown).toEqual([
    "0 ns", "999 ns", "1.00 µs", "12.3 µs", "1.23 ms", "999 ms", "1.50 s", "1 min 1 s", "1 h 2 min", "47 h 59 min", "2 d 0 h", "18250 d 0 h", "-5.00 µs", "–",
  ]);
});

test("what has no name is said to have none", () => {
  expect(["cart", ""].map(showName)).toEqual(["cart", "(no name)"]);
});

test("counts and shares are short", () => {
  expect([0, 1234, 9999, 12_345, 4_560_000, 2.5].map(showCount)).toEqual(["0", "1,234", "9,999", "12.3 k", "4.56 M", "2.5"]);
  expect([0, 0.00001, 0.0123, 0.5, 1].map(showShare)).toEqual(["0 %", "<0.01 %", "1.23 %", "50.0 %", "100.0 %"]);
});

test("rates of rare things are told by longer times", () => {
  expect([0, 12_345, 250, 34.26, 0.456, 0.044, 0.0063, 0.000023, "NaN"].map(showRate)).toEqual([
    "0/s", "12.3 k/s", "250/s", "34.3/s", "0.46/s", "2.6/min", "22.7/h", "2/d", "–",
  ]);
});
