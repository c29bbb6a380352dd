import { expect, test } from "vitest";
import { linesOf, type Moment } from "./timeline";

function moment(at: number, service: string, status: Moment["status"], told: Moment["told"] = null): Moment {
  return { atUnixNano: String(at), group: { service }, labels: {}, status, told, value: 1 };
}

test("an alert's changes become bars, of which the last lasts until the end", () => {
  const lines = linesOf(
    [
      moment(1, "a", "pending"), moment(2, "b", "active", "fired"), moment(3, "a", "active", "fired"), moment(4, "b", "resolved", "resolved"),
      moment(5, "b", "active", "fired"), moment(6, "b", "active", "repeated"),
    ],
    10n,
  );
  expect(lines.map(({ group, fired, bars }) => [group["service"], fired, bars.map(({ status, from, to }) => [status, Number(from), Number(to)])])).toEqual([
    ["b", 2, [["active", 2, 4], ["active", 5, 10]]],
    ["a", 1, [["pending", 1, 3], ["active", 3, 10]]],
  ]);
});
