// What makes two questions the same one, asked at another moment.
import type { Asking } from "./client";

/** Times in queries: where the page's URL says them as of now, they are others whenever they are asked for. */
const TIMES: readonly string[] = ["start", "end", "otherStart", "otherEnd", "baselineStart", "baselineEnd"];

/** Parameters of the page's URL of which those times are made. */
export const TIMES_SAID = ["from", "to", "compare", "box"] as const;

/** A question without its times, in whose place stands what was said of them. */
export function questionOf(path: string, { query = {}, workspace = "" }: Pick<Asking, "query" | "workspace">, said: readonly string[]): string {
  return JSON.stringify([path, Object.entries(query).filter(([name]) => !TIMES.includes(name)), workspace, ...said]);
}
