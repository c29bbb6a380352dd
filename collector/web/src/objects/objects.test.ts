import { expect, test } from "vitest";
import { differences } from "./difference";
import { beginning, nameInWords, settingsOf, shapeOf, type JsonSchema, type SchemaMap } from "./shape";

const ALL: SchemaMap = {
  Secret: { type: "object", properties: { secret: { type: "string" } }, required: ["secret"] },
  Slack: { type: "object", properties: { type: { const: "slack" }, url: { $ref: "#/components/schemas/Secret", description: "Where." } }, required: ["type", "url"] },
  Mail: { type: "object", properties: { type: { const: "mail" }, to: { type: "array", items: { type: "string" } } }, required: ["type", "to"] },
};
const SCHEMA: JsonSchema = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 200 },
    window: { anyOf: [{ type: "string" }, { const: 0 }], default: "5m", description: "How long." },
    endsAt: { anyOf: [{ type: "string", format: "date-time" }, { type: "null" }], default: null },
    events: { type: "array", items: { enum: ["fired", "resolved"] } },
    labels: { type: "object", additionalProperties: { type: "string" } },
    target: {
      oneOf: [{ $ref: "#/components/schemas/Slack" }, { $ref: "#/components/schemas/Mail" }],
      discriminator: { propertyName: "type", mapping: {} },
    },
  },
  required: ["name", "target"],
};

test("a schema becomes what a form asks for", () => {
  const shape = shapeOf(SCHEMA, ALL);
  if (shape.kind !== "object") throw new Error(shape.kind);
  expect(shape.fields.map(([name, each]) => [name, each.kind, each.optional])).toEqual([
    ["name", "text", false], ["window", "text", true], ["endsAt", "time", true], ["events", "choices", true], ["labels", "map", true],
    ["target", "union", false],
  ]);
  const target = shape.fields[5]?.[1];
  if (target?.kind !== "union") throw new Error("target is a union");
  expect(target.variants.map(([name]) => name)).toEqual(["slack", "mail"]);
  const slack = target.variants[0]?.[1];
  expect(slack?.kind === "object" && slack.fields.map(([name, each]) => [name, each.kind, each.description])).toEqual([["url", "object", "Where."]]);
  expect(beginning(shape)).toEqual({ target: { type: "slack", url: {} } });
});

test("settings are what the schema knows of an object", () => {
  expect(settingsOf(shapeOf(SCHEMA, ALL), { id: "1", name: "a", endsAt: null, version: 3 })).toEqual({ name: "a" });
});

test("names of fields are read as words", () => {
  expect(["leastSeverity", "p99AboveMs", "for", "jsonValues", "grpc"].map(nameInWords)).toEqual(["Least severity", "P99 above ms", "For", "JSON values", "gRPC"]);
});

test("differences name what a version has changed", () => {
  const first = { name: "a", version: 1, scope: { service: "cart", kind: null }, by: [] };
  const second = { name: "b", version: 2, scope: { service: "cart", kind: "server" }, by: ["kind"] };
  expect(differences(first, second)).toEqual([
    { field: "by", before: "", after: '["kind"]' },
    { field: "name", before: "a", after: "b" },
    { field: "scope.kind", before: "", after: "server" },
  ]);
  expect(differences(undefined, first).map((each) => each.field)).toEqual(["name", "scope.service"]);
});
