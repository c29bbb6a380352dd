// Attributes with their types, as OTLP has them.
import type { Schemas } from "../../api/client";
import { linkTo } from "../../app/location";
import { CopyButton } from "../../ui/CopyButton";

export type Attribute = Schemas["Attribute"];
type AnyValue = Schemas["AnyValue"];

/** A value as people read it. */
export function textOf(value: AnyValue): string {
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.boolValue !== undefined) return String(value.boolValue);
  if (value.intValue !== undefined) return value.intValue;
  if (value.doubleValue !== undefined) return String(value.doubleValue);
  if (value.bytesValue !== undefined) return value.bytesValue;
  return JSON.stringify(plain(value), null, 1) ?? "";
}

function plain(value: AnyValue): unknown {
  if (value.arrayValue) return value.arrayValue.values.map(plain);
  if (value.kvlistValue) return Object.fromEntries(value.kvlistValue.values.map((each) => [each.key, plain(each.value)]));
  return Object.values(value)[0] ?? null;
}

export function typeOf(value: AnyValue): string {
  const [name] = Object.keys(value);
  return name === undefined ? "empty" : name.replace("Value", "").replace("kvlist", "map");
}

/** The search for spans with an attribute of this value; empty for values that cannot be searched by. */
function searchFor(attribute: Attribute, level: string): string {
  const { value, key } = attribute;
  const literal = value.stringValue !== undefined ? JSON.stringify(value.stringValue) : (value.intValue ?? value.boolValue ?? value.doubleValue);
  if (literal === undefined || String(literal).length > 500) return "";
  return `${level}[${JSON.stringify(key)}] = ${literal}`;
}

export function Attributes({ attributes, level }: { attributes: readonly Attribute[]; level: "span" | "resource" | "scope" | "event" | "link" }) {
  if (!attributes.length) return <p class="soft">none</p>;
  return (
    <table class="attributes">
      <tbody>
        {attributes.map((attribute, at) => {
          const text = textOf(attribute.value);
          const query = searchFor(attribute, level);
          return (
            <tr key={`${at} ${attribute.key}`}>
              <th scope="row">
                {attribute.key} <span class="type">{typeOf(attribute.value)}</span>
              </th>
              <td>
                <span class="mono">{text}</span>
                {attribute.fullLength !== undefined && <span class="soft"> … {attribute.fullLength} characters in all</span>}{" "}
                <CopyButton text={text} what={attribute.key} />
                {query && (
                  <a class="small" href={linkTo("/search", { q: query })} title="Find spans with this value" aria-label={`Find spans with this ${attribute.key}`}>
                    find
                  </a>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
