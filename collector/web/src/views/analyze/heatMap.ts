// Where the cells of a heat map stand, which one an arrow key leads to, and which part of it is chosen.
import type { Schemas } from "../../api/client";
import { nextPlace } from "../../ui/arrows";

type Map = Pick<Schemas["HeatMap"], "cells" | "startUnixNano" | "endUnixNano" | "stepNanos">;
type Cell = Map["cells"][number];

export interface Placed {
  cell: Cell;
  /** Column and row, from the start and from the shortest durations on. */
  column: number;
  row: number;
}

export interface Grid {
  cells: Placed[];
  columns: number;
  /** Shortest and longest durations of each row, nanoseconds, the shortest row first; of rows without cells too. */
  rows: readonly { from: number; to: number }[];
  most: number;
}

/** A part of a heat map. Nanoseconds; the end of the time is not included, both durations are. Without them it is of all durations. */
export interface Box {
  start: bigint;
  end: bigint;
  durations: { from: number; to: number } | undefined;
}

/** Places in a grid: from one column and row to another, in either order. */
export type Places = readonly [column: number, row: number, column: number, row: number];

/** Where rows begin: from 0 ns on, so that each second one is twice as long, as the API counts them; whole nanoseconds, each once. */
const BOUNDS: readonly number[] = [0, ...new Set(Array.from({ length: 106 }, (_, exponent) => Math.ceil(2 ** (exponent / 2))))];
const ROWS = BOUNDS.slice(1).map((bound, at) => ({ from: BOUNDS[at] as number, to: bound - 1 }));
const ROW_OF = new Map(ROWS.map(({ from }, at) => [from, at]));

/** Places of cells in a grid of all steps, and of all rows from the shortest to the longest durations. */
export function gridOf(map: Map): Grid {
  const step = BigInt(map.stepNanos);
  const first = BigInt(map.startUnixNano) / step;
  const columns = Number((BigInt(map.endUnixNano) - 1n) / step - first) + 1;
  const numbers = map.cells.map((cell) => ROW_OF.get(Number(cell.minNanos)) ?? 0);
  const lowest = Math.min(...numbers);
  const rows = ROWS.slice(lowest, Math.max(...numbers) + 1);
  const cells = map.cells.map((cell, at) => ({ cell, column: Number(BigInt(cell.startUnixNano) / step - first), row: (numbers[at] as number) - lowest }));
  return { cells, columns, rows, most: Math.max(0, ...map.cells.map((cell) => Number(cell.count))) };
}

/** The duration within which a share of the spans stay, to the row; a shorter one where none would take longer, unless all are in one
 * row. */
export function durationWithin({ cells, rows }: Grid, share: number): number {
  const counts = rows.map(() => 0);
  for (const { cell, row } of cells) counts[row] = (counts[row] as number) + Number(cell.count);
  const wanted = share * counts.reduce((sum, count) => sum + count, 0);
  let passed = 0;
  const row = counts.findIndex((count) => (passed += count) >= wanted);
  const highest = counts.findLastIndex((count) => count > 0);
  return rows[Math.max(0, Math.min(row, highest - 1))]?.to ?? 0;
}

/** What lies at places of a grid. */
export function boxAt(map: Map, { rows }: Grid, [column, row, other, above]: Places): Box {
  const step = BigInt(map.stepNanos);
  const first = BigInt(map.startUnixNano) / step;
  const bounded = (time: bigint): bigint => (time < BigInt(map.startUnixNano) ? BigInt(map.startUnixNano) : time > BigInt(map.endUnixNano) ? BigInt(map.endUnixNano) : time);
  const [low, high] = [Math.min(row, above), Math.max(row, above)];
  return {
    start: bounded((first + BigInt(Math.min(column, other))) * step),
    end: bounded((first + BigInt(Math.max(column, other)) + 1n) * step),
    durations: low === 0 && high === rows.length - 1 ? undefined : { from: rows[low]?.from ?? 0, to: rows[high]?.to ?? 0 },
  };
}

/** The places of what is chosen, as far as they can be seen. */
export function placesOf(map: Map, { rows, columns }: Grid, { start, end, durations }: Box): Places | undefined {
  const step = BigInt(map.stepNanos);
  const first = BigInt(map.startUnixNano) / step;
  const [left, right] = [Math.max(Number(start / step - first), 0), Math.min(Number((end - 1n) / step - first), columns - 1)];
  const inside = rows.flatMap(({ from, to }, row) => (!durations || (from <= durations.to && to >= durations.from) ? [row] : []));
  const [low, high] = [inside[0], inside.at(-1)];
  return left > right || low === undefined || high === undefined ? undefined : [left, low, right, high];
}

/** A box as the URL says it. */
export function boxText({ start, end, durations }: Box): string {
  return [start, end, ...(durations ? [durations.from, durations.to] : [])].join("-");
}

/** What the URL says; undefined for other texts. */
export function readBox(text: string): Box | undefined {
  const [, start, end, from, to] = /^(\d+)-(\d+)(?:-(\d+)-(\d+))?$/.exec(text) ?? [];
  if (!start || !end || BigInt(start) >= BigInt(end)) return undefined;
  return { start: BigInt(start), end: BigInt(end), durations: from && to ? { from: Number(from), to: Number(to) } : undefined };
}

/** The cell that an arrow key leads to; undefined for other keys. */
export function nextCell(cells: readonly Placed[], from: number, key: string): number | undefined {
  return nextPlace(cells.map(({ column, row }) => [column, row]), from, key);
}
