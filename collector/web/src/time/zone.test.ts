import { expect, test } from "vitest";
import { clockAt, isZone, momentOf } from "./zone";

const ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago"];

test("what a clock shows is read back, in all zones and over the year", () => {
  for (const zone of ZONES) {
    for (let at = Date.UTC(2026, 0, 1, 0, 7, 9, 41); at < Date.UTC(2027, 0, 1); at += 37 * 3_600_000 + 1) {
      const read = momentOf(clockAt(at, zone), zone);
      // The hour before clocks are put back is there twice.
      expect([0, -3_600_000], `${zone} ${clockAt(at, zone)}`).toContain((read ?? 0) - at);
    }
  }
});

test("a text may name its distance from UTC, and leave out what is 0", () => {
  const noon = Date.UTC(2026, 2, 1, 12);
  expect(["2026-03-01T12:00Z", "2026-03-01T13:00:00+01:00", "2026-03-01 06:30 -0530", "2026-03-01 13:00"].map((text) => momentOf(text, "Europe/Berlin"))).toEqual(
    Array(4).fill(noon),
  );
  expect(momentOf("2026-03-01", "Europe/Berlin")).toBe(Date.UTC(2026, 1, 28, 23));
  expect(["12:00", "2026-03-01 25:00", "2026-3-1"].map((text) => momentOf(text, undefined))).toEqual([undefined, undefined, undefined]);
});

test("the clock is put forth and back", () => {
  expect(momentOf("2026-03-29 01:59", "Europe/Berlin")).toBe(Date.UTC(2026, 2, 29, 0, 59));
  expect(momentOf("2026-03-29 03:00", "Europe/Berlin")).toBe(Date.UTC(2026, 2, 29, 1));
  expect(momentOf("2026-10-25 02:30", "Europe/Berlin")).toBe(Date.UTC(2026, 9, 25, 0, 30));
});

test("zones are known by their names", () => {
  expect(["Europe/Berlin", "UTC", "Mars/Olympus"].map(isZone)).toEqual([true, true, false]);
});
