// Attributes with their types, as OTLP has them.
import { useState } from "preact/hooks";
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

function typeOf(value: AnyValue): string {
  const [name] = Object.keys(value);
  return name === undefined ? "empty" : name.replace("Value", "").replace("kvlist", "map");
}

/** Longer searches are too long for an address. */
const SEARCHABLE = 600;
/** Of a name that goes on, whoever uses a button hears as much. */
const CALLED = 60;

/** The search for spans with an attribute of this value; empty for values that cannot be searched by. */
function searchFor(attribute: Attribute, level: string): string {
  const { value, key } = attribute;
  const literal = value.stringValue !== undefined ? JSON.stringify(value.stringValue) : (value.intValue ?? value.boolValue ?? value.doubleValue);
  const search = `${level}[${JSON.stringify(key)}] = ${literal}`;
  return literal === undefined || search.length > SEARCHABLE ? "" : search;
}

export function Attributes({ attributes, level }: { attributes: readonly Attribute[]; level: "span" | "resource" | "scope" | "event" | "link" }) {
  if (!attributes.length) return <p class="soft">none</p>;
  return (
    <table class="attributes">
      <tbody>
        {attributes.map((attribute, at) => {
          const text = textOf(attribute.value);
          const query = searchFor(attribute, level);
          const called = attribute.key.length > CALLED ? `${attribute.key.slice(0, CALLED)}…` : attribute.key;
          return (
            <tr key={`${at} ${attribute.key}`}>
              <th scope="row">
                <LongText text={attribute.key} look="key" /> {attribute.value.stringValue === undefined && <span class="type">{typeOf(attribute.value)}</span>}
              </th>
              <td>
                <LongText text={text} />
                {attribute.fullLength !== undefined && <span class="soft"> … {attribute.fullLength} characters in all</span>}{" "}
                <CopyButton text={text} what={called} />
                {query && (
                  <a class="small" href={linkTo("/search", { q: query })} title="Find spans with this value" aria-label={`Find spans with this ${called}`}>
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

/** Longer texts, or those of more lines, are not shown whole until somebody wants to read them. */
const LONG = { mono: { characters: 400, lines: 8 }, key: { characters: 100, lines: 2 } };

export function LongText({ text, look = "mono" }: { text: string; look?: keyof typeof LONG }) {
  const [whole, setWhole] = useState(false);
  const { characters, lines } = LONG[look];
  const isLong = text.length > characters || text.split("\n", lines + 1).length > lines;
  if (!isLong) return <span class={look}>{text}</span>;
  return (
    <>
      <span class={whole ? look : `${look} cut`}>{text}</span>
      <button type="button" class="link small" aria-expanded={whole} onClick={() => setWhole(!whole)}>
        {whole ? "show less" : `show all ${text.length} characters`}
      </button>
    </>
  );
}

/** What a service has left out. */
export function Dropped({ count, what }: { count: number; what: string }) {
  return count ? <p class="soft">{count} {what} more were dropped by the service.</p> : null;
}
