// The services of a list: what is known of their requests, of all their spans, and of how they do.
import type { Schemas } from "../../api/client";
import type { Service } from "./health";

type Series = Schemas["Red"]["series"][number];

export interface Row {
  name: string;
  /** Undefined for services that were never asked for anything: they have no spans of the kinds server and consumer. */
  service: Service | undefined;
  /** Undefined for those that are idle. */
  series: Series | undefined;
}

export const SORTS = ["health", "name", "rate", "errors", "p95"] as const;
export type SortName = (typeof SORTS)[number];

const HEALTHS = ["failing", "degraded", "healthy", "idle"];

/** All services of either answer whose names have a text in them, in an order. */
export function rowsOf(services: readonly Service[], series: readonly Series[], text: string, sort: SortName): Row[] {
  const byName = new Map<string, Row>();
  for (const each of services) byName.set(each.service, { name: each.service, service: each, series: undefined });
  for (const each of series) byName.set(each.name, { name: each.name, service: byName.get(each.name)?.service, series: each });
  const wanted = text.toLowerCase();
  const rows = [...byName.values()].filter((row) => row.name.toLowerCase().includes(wanted));
  return rows.sort((a, b) => orderOf(b, sort) - orderOf(a, sort) || a.name.localeCompare(b.name));
}

/** How badly a service does, from 0 on: of those that are called the same, more requests that fail are worse. */
export function badnessOf({ health, current }: Service): number {
  return HEALTHS.length - HEALTHS.indexOf(health) + (Number(current?.errorRate ?? 0) || 0) / 2;
}

/** By what rows are ordered, the highest first; names order those that are alike. */
function orderOf(row: Row, sort: SortName): number {
  const now = row.service?.current;
  if (sort === "health") return row.service ? badnessOf(row.service) : 0;
  if (sort === "rate") return Number(now?.perSecond ?? row.series?.spansPerSecond ?? -1);
  if (sort === "errors") return Number(now?.errorRate ?? row.series?.errorRate ?? -1);
  if (sort === "p95") return Number(now?.p95Nanos ?? row.series?.p95Nanos ?? -1);
  return 0;
}
