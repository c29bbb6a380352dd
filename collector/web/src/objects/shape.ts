// What a form asks for, read from the JSON schemas by which the daemon itself takes an object: one source for both.

export interface JsonSchema {
  $ref?: string;
  type?: string | readonly string[];
  properties?: Record<string, JsonSchema>;
  required?: readonly string[];
  items?: JsonSchema;
  enum?: readonly unknown[];
  const?: unknown;
  oneOf?: readonly JsonSchema[];
  anyOf?: readonly JsonSchema[];
  discriminator?: { propertyName: string; mapping: Record<string, string> };
  additionalProperties?: boolean | JsonSchema;
  description?: string;
  default?: unknown;
  format?: string;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
}

export type SchemaMap = Record<string, JsonSchema>;

interface Common {
  description: string;
  /** What holds when nothing is said. */
  otherwise: unknown;
  /** Whether nothing may be said. */
  optional: boolean;
}

export type Shape = Common &
  (
    | { kind: "text" | "long" | "time" | "flag" | "json" }
    | { kind: "number"; whole: boolean; least: number | undefined; most: number | undefined }
    | { kind: "choice" | "choices"; choices: readonly string[] }
    | { kind: "list"; item: Shape }
    | { kind: "map" }
    | { kind: "object"; fields: readonly [string, Shape][] }
    | { kind: "union"; tag: string; variants: readonly [string, Shape][] }
    | { kind: "either"; variants: readonly Shape[] }
  );

/** Texts that may be longer than this get room of several lines. */
const ONE_LINE = 4000;
const SPOKEN = /^(comment|body|query)$/;

/** What to ask for by a schema. `name` is that of the field. */
export function shapeOf(schema: JsonSchema, all: SchemaMap, name = "", required = true): Shape {
  const found = resolved(schema, all);
  const common: Common = { description: found.description ?? "", otherwise: found.default, optional: !required };
  const others = found.anyOf?.filter((each) => each.type !== "null" && each.const === undefined);
  if (found.anyOf && others) {
    const only = others.length === 1 ? others[0] : undefined;
    const variants = others.map((each) => shapeOf(each, all, name));
    const inner: Shape = only ? shapeOf(only, all, name) : { ...common, kind: "either", variants };
    return { ...inner, ...common, description: common.description || inner.description };
  }
  if (found.oneOf && found.discriminator) {
    const tag = found.discriminator.propertyName;
    const variants = found.oneOf.map((each): [string, Shape] => {
      const variant = resolved(each, all);
      return [String(variant.properties?.[tag]?.const ?? ""), objectShape(variant, all, tag)];
    });
    return { ...common, kind: "union", tag, variants };
  }
  if (found.enum) return { ...common, kind: "choice", choices: found.enum.map(String) };
  switch (found.type) {
    case "boolean":
      return { ...common, kind: "flag" };
    case "integer":
    case "number":
      return { ...common, kind: "number", whole: found.type === "integer", least: found.minimum, most: found.maximum };
    case "string":
      if (found.format === "date-time") return { ...common, kind: "time" };
      return { ...common, kind: SPOKEN.test(name) || (found.maxLength ?? 0) > ONE_LINE ? "long" : "text" };
    case "array": {
      const item = shapeOf(found.items ?? {}, all);
      return item.kind === "choice" ? { ...common, kind: "choices", choices: item.choices } : { ...common, kind: "list", item };
    }
    case "object":
      if (found.properties) return { ...objectShape(found, all), ...common };
      return typeof found.additionalProperties === "object" ? { ...common, kind: "map" } : { ...common, kind: "json" };
  }
  return { ...common, kind: "json" };
}

function objectShape(schema: JsonSchema, all: SchemaMap, without = ""): Shape {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {})
    .filter(([name]) => name !== without)
    .map(([name, each]): [string, Shape] => [name, shapeOf(each, all, name, required.has(name))]);
  return { kind: "object", fields, description: schema.description ?? "", otherwise: undefined, optional: false };
}

/** A schema and what it refers to; what stands beside a reference says more of it. */
function resolved(schema: JsonSchema, all: SchemaMap): JsonSchema {
  if (!schema.$ref) return schema;
  const { $ref, ...beside } = schema;
  return { ...resolved(all[$ref.slice($ref.lastIndexOf("/") + 1)] ?? {}, all), ...beside };
}

/** What a new field of this shape begins with; undefined where nothing has to be said. */
export function beginning(shape: Shape): unknown {
  if (shape.otherwise !== undefined && shape.otherwise !== null) return undefined;
  if (shape.optional) return undefined;
  if (shape.kind === "union") return variantOf(shape, undefined)[2];
  if (shape.kind === "object") {
    const fields = shape.fields.map(([name, inner]) => [name, beginning(inner)]).filter(([, value]) => value !== undefined);
    return Object.fromEntries(fields) as unknown;
  }
  return undefined;
}

/** The variant that a value is of, and the value: the first one where nothing is said. */
export function variantOf(shape: Shape & { kind: "union" }, value: unknown): [string, Shape, Record<string, unknown>] {
  const said = (value as Record<string, unknown> | undefined) ?? {};
  const [name, inner] = shape.variants.find(([each]) => each === said[shape.tag]) ?? (shape.variants[0] as [string, Shape]);
  const begun = value === undefined ? (beginning({ ...inner, optional: false }) as Record<string, unknown>) : said;
  return [name, inner, { ...begun, [shape.tag]: name }];
}

/** Words that are written in no other way. */
const SPELLED: Record<string, string> = { dns: "DNS", graphql: "GraphQL", grpc: "gRPC", http: "HTTP", json: "JSON", pagerduty: "PagerDuty", tls: "TLS", url: "URL" };

/** `leastSeverity` as people write it: `Least severity`. */
export function nameInWords(name: string): string {
  const words = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase().split(" ");
  return words.map((word, at) => SPELLED[word] ?? (at ? word : word.charAt(0).toUpperCase() + word.slice(1))).join(" ");
}

/** What an object says, of all that its schema knows, without what it leaves out. */
export function settingsOf(shape: Shape, object: Record<string, unknown>): Record<string, unknown> {
  if (shape.kind !== "object") return object;
  return Object.fromEntries(shape.fields.map(([name]) => [name, object[name]]).filter(([, value]) => value !== null && value !== undefined));
}
