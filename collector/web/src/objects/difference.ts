// What has changed from one version of an object to the next.

export interface Difference {
  field: string;
  before: string;
  after: string;
}

/** Fields of every version, which say who has changed it and when, not what it says. */
const OF_VERSIONS = new Set(["id", "workspace", "version", "createdAtUnixNano", "createdBy", "updatedAtUnixNano", "updatedBy", "deleted"]);

/** Fields that differ, by their paths, with what they said. Without `before` all that is said is new. */
export function differences(before: Record<string, unknown> | undefined, after: Record<string, unknown>): Difference[] {
  const [old, now] = [flat(before ?? {}), flat(after)];
  const fields = [...new Set([...old.keys(), ...now.keys()])].sort();
  return fields
    .map((field) => ({ field, before: old.get(field) ?? "", after: now.get(field) ?? "" }))
    .filter((each) => each.before !== each.after);
}

function flat(object: Record<string, unknown>): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (value: unknown, path: string): void => {
    if (value === null || value === undefined || value === "") return;
    if (typeof value === "object" && !Array.isArray(value)) {
      for (const [name, inner] of Object.entries(value)) walk(inner, path ? `${path}.${name}` : name);
    } else if (!Array.isArray(value) || value.length) {
      found.set(path, typeof value === "string" ? value : JSON.stringify(value));
    }
  };
  for (const [name, value] of Object.entries(object)) if (!OF_VERSIONS.has(name)) walk(value, name);
  return found;
}
