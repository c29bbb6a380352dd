// What traces were waiting for, one row for each thing, beside each other for the fast and the slow ones.
import type { Schemas } from "../../api/client";

export type Band = Schemas["AggregateCriticalPath"]["bands"][number];
export type Contribution = Band["contributions"][number];

export interface PathRow {
  name: string;
  first: Contribution;
  /** One for each band, as they come; undefined where its traces did not wait for it. */
  cells: (Contribution | undefined)[];
  /** How much longer traces of the last band waited for it on average than those of the first, nanoseconds. */
  more: number;
}

/** Rows, first those for which the slow traces waited so much longer than the fast ones. */
export function rowsOf(bands: readonly Band[]): PathRow[] {
  const rows = new Map<string, PathRow>();
  bands.forEach(({ contributions }, at) => {
    for (const each of contributions) {
      const name = each.path.map(({ service, operation }) => [service, operation].filter(Boolean).join(": ")).join(" → ");
      const row = rows.get(name) ?? { name, first: each, cells: bands.map(() => undefined), more: 0 };
      row.cells[at] = each;
      rows.set(name, row);
    }
  });
  const mean = (cell: Contribution | undefined): number => Number(cell?.meanNanos ?? 0);
  const isOne = bands.length === 1;
  for (const row of rows.values()) row.more = mean(row.cells.at(-1)) - (isOne ? 0 : mean(row.cells[0]));
  const most = ({ cells }: PathRow): number => Math.max(...cells.map(mean));
  return [...rows.values()].sort((one, other) => other.more - one.more || most(other) - most(one));
}
