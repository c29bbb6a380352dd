import { expect, test } from "vitest";
import type { Service } from "./health";
import { rowsOf, type Row } from "./rows";

function service(name: string, health: Service["health"], perSecond: number | null): Service {
  return { service: name, health, reasons: [], current: perSecond === null ? null : { perSecond, errorRate: 0, p95Nanos: 5 }, previous: null } as unknown as Service;
}

const SERVICES = [service("cart", "healthy", 3), service("ads", "idle", null), service("web", "failing", 1)];
const SERIES = [{ name: "cart", errorRate: 0 }, { name: "batch", errorRate: 0.5 }] as unknown as NonNullable<Row["series"]>[];

test("of services that are called the same, those come first of which more fails", () => {
  const failing = (name: string, errorRate: number): Service => ({ ...service(name, "failing", 1), current: { perSecond: 1, errorRate } }) as unknown as Service;
  const names = rowsOf([failing("a", 0.1), service("b", "degraded", 1), failing("c", 1), failing("d", Number.NaN)], [], "", "health").map((row) => row.name);
  expect(names).toEqual(["c", "a", "d", "b"]);
});

test("services that were asked for nothing are there as well, and the worst come first", () => {
  const names = (sort: Parameters<typeof rowsOf>[3], text = ""): string[] => rowsOf(SERVICES, SERIES, text, sort).map((row) => row.name);
  expect(names("health")).toEqual(["web", "cart", "ads", "batch"]);
  expect(names("name")).toEqual(["ads", "batch", "cart", "web"]);
  expect(names("rate")).toEqual(["cart", "web", "ads", "batch"]);
  expect(names("errors")).toEqual(["batch", "cart", "web", "ads"]);
  expect(names("name", "A")).toEqual(["ads", "batch", "cart"]);
});
