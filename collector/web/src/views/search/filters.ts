// What is searched for: all of it is in the URL, so that it can be shared and come back to.
import type { Query } from "../../api/client";
import { parameter, parameters } from "../../app/location";
import { currentRange, rangeQuery, type TimeRange } from "../../time/range";

/** Conditions that the API has parameters for, and how people call them. */
export const FILTERS = [
  ["service", "Service"],
  ["operation", "Operation"],
  ["status", "Status"],
  ["kind", "Kind"],
  ["minDuration", "At least"],
  ["maxDuration", "At most"],
  ["minTraceDuration", "Trace at least"],
  ["maxTraceDuration", "Trace at most"],
  ["rootService", "Root service"],
  ["rootName", "Root"],
  ["text", "Text"],
] as const;

export type FilterName = (typeof FILTERS)[number][0];

/** Those that are about whole traces; the others are about spans. */
export const OF_TRACES: readonly FilterName[] = ["minTraceDuration", "maxTraceDuration", "rootService", "rootName"];

export const SORTS = [
  ["start", "Latest"],
  ["duration", "Slowest"],
  ["spans", "Most spans"],
  ["errors", "Most errors"],
] as const;

/** What the URL says, as parameters of the API. */
export function searchQuery(range: TimeRange): Query {
  return { ...tailQuery(), sort: parameter("sort", "start"), order: parameter("order", "desc"), ...rangeQuery(range) };
}

/** The same of a search that is followed, which has no other order and no other time than now. */
export function tailQuery(): Query {
  const query: Query = { q: parameter("q") };
  for (const [name] of FILTERS) query[name] = parameter(name);
  return query;
}

/** The conditions that are said apart from the query, in the order in which people read them. */
export function activeFilters(): { name: FilterName; label: string; value: string }[] {
  return FILTERS.flatMap(([name, label]) => {
    const value = parameters.value.get(name);
    return value === null ? [] : [{ name, label, value }];
  });
}

/** The range that is searched, moved to now if it is relative. */
export function searchRange(): TimeRange {
  return currentRange();
}
