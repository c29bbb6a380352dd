import type { Column } from "./steps";

const [WIDTH, HEIGHT] = [120, 26];

/** A small line over time, and in red what of it failed. What it says is in the row that it stands in. */
export function Spark({ values, failed }: { values: Column; failed?: Column }) {
  const most = Math.max(...values.map((value) => value ?? 0), 0);
  if (values.length < 2 || most === 0) return <span class="soft">–</span>;
  const line = pathOf(values, most);
  return (
    <svg class="spark-line" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="area" d={`${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} />
      <path d={line} />
      {failed?.some((value) => value) && <path class="bad" d={pathOf(failed, most)} />}
    </svg>
  );
}

function pathOf(values: Column, most: number): string {
  const step = WIDTH / (values.length - 1);
  return values.map((value, at) => `${at ? "L" : "M"}${(at * step).toFixed(1)} ${(HEIGHT - 1 - ((value ?? 0) / most) * (HEIGHT - 3)).toFixed(1)}`).join("");
}
