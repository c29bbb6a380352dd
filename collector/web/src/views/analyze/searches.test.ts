import { expect, test } from "vitest";
import { allOf, searchOf } from "./searches";

test("queries of which all must hold are one", () => {
  expect(allOf([])).toBe("");
  expect(allOf(["a = 1 or b = 2"])).toBe("a = 1 or b = 2");
  expect(allOf(["a = 1 or b = 2", "", "order = 3"])).toBe("(a = 1 or b = 2) and order = 3");
});

test("a part stands on top of its whole, and has its own time or the page's", () => {
  const whole = { q: ["kind = server"], service: "web", minDuration: "1ms", start: "5.000000000", end: "9.000000000" };
  expect(searchOf(whole, { q: ["kind = server", 'name = "GET /"'] })).toEqual({ q: 'kind = server and name = "GET /"', service: "web", minDuration: "1ms" });
  expect(searchOf(whole, { start: "1795755960.000000000", end: "1795756020.000000001", minDuration: "3ms" })).toEqual({
    q: "kind = server", service: "web", minDuration: "3ms", from: "1795755960000000000", to: "1795756020000000001",
  });
});
