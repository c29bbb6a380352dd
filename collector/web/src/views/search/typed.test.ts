import { expect, test } from "vitest";
import { typed } from "./typed";

test("what is being typed is a name, or the value of one", () => {
  expect(typed("")).toEqual({ name: "", part: "" });
  expect(typed("serv")).toEqual({ name: "", part: "serv" });
  expect(typed("service = ch")).toEqual({ name: "service", part: "ch" });
  expect(typed('kind = server and http.route = "/api')).toEqual({ name: "http.route", part: "/api" });
  expect(typed("a = b and (resource.host")).toEqual({ name: "", part: "resource.host" });
  expect(typed("duration > 5")).toEqual({ name: "", part: "5" });
});
