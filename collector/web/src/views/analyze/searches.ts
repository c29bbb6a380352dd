// Searches for the traces behind a part of an answer.
import type { Query } from "../../api/client";

/** What finds traces, as answers say it: parameters of the API. */
type Said = Record<string, unknown>;

/** Several queries as one, all of which must hold. */
export function allOf(queries: readonly string[]): string {
  const said = queries.map((each) => each.trim()).filter(Boolean);
  return said.length > 1 ? said.map((each) => (/\bor\b/i.test(each) ? `(${each})` : each)).join(" and ") : (said[0] ?? "");
}

/** Parameters of the search view: what an answer's `search` says, with that of the part on top. The time range of the page stays,
 * unless the part has one of its own. */
export function searchOf(whole: Said, part: Said): Query {
  const { start: _start, end: _end, ...conditions } = whole;
  const { q, start, end, ...said } = { ...conditions, ...part };
  const range: Query = start === undefined || end === undefined ? {} : { from: nanosOf(String(start)), to: nanosOf(String(end)) };
  return { ...(said as Query), q: allOf([q ?? []].flat() as string[]), ...range };
}

/** Seconds since 1970 with nine digits behind the point, as nanoseconds. */
function nanosOf(text: string): string {
  return text.replace(".", "");
}
