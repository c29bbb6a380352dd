// Where the cells of a heat map stand, and which one an arrow key leads to.
import type { Schemas } from "../../api/client";

type Cell = Schemas["HeatMap"]["cells"][number];

export interface Placed {
  cell: Cell;
  /** Column and row, from the start and from the shortest durations on. */
  column: number;
  row: number;
}

export interface Grid {
  cells: Placed[];
  columns: number;
  /** Upper ends of the durations of each row, nanoseconds, the shortest first. */
  rows: number[];
  most: number;
}

/** Places of cells in a grid of steps and of all rows from the shortest to the longest durations. */
export function gridOf(map: Pick<Schemas["HeatMap"], "cells" | "startUnixNano" | "endUnixNano" | "stepNanos">): Grid {
  const step = BigInt(map.stepNanos);
  const first = BigInt(map.startUnixNano) / step;
  const columns = Number((BigInt(map.endUnixNano) - 1n) / step - first) + 1;
  const uppers = [...new Set(map.cells.map((cell) => Number(cell.maxNanos)))].sort((a, b) => a - b);
  const rowOf = new Map(uppers.map((upper, row) => [upper, row]));
  const cells = map.cells.map((cell) => ({
    cell, column: Number(BigInt(cell.startUnixNano) / step - first), row: rowOf.get(Number(cell.maxNanos)) ?? 0,
  }));
  return { cells, columns, rows: uppers, most: Math.max(0, ...map.cells.map((cell) => Number(cell.count))) };
}

const WAYS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** The cell that lies nearest in the direction of a key; the same one where there is none, undefined for other keys. */
export function nextCell(cells: readonly Placed[], from: number, key: string): number | undefined {
  const way = WAYS[key];
  const here = cells[from];
  if (!way || !here) return undefined;
  let [best, least] = [from, Infinity];
  cells.forEach(({ column, row }, at) => {
    const [across, up] = [column - here.column, row - here.row];
    const ahead = across * way[0] + up * way[1];
    const aside = Math.abs(across * way[1]) + Math.abs(up * way[0]);
    // What lies straight ahead is nearer than what lies aside.
    const distance = ahead + 3 * aside;
    if (ahead > 0 && distance < least) [best, least] = [at, distance];
  });
  return best;
}
