// Values over time: lines and areas with a legend that tells the values under the pointer. Drag over a part to look at that time only.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { setParameters } from "../app/location";
import { currentZone, showClock, showSecond } from "../time/range";
import "./chart.css";
import { resolved } from "./colors";
import { nanosOf, type Column } from "./steps";
import { shownColors } from "./theme";

export interface Series {
  label: string;
  values: Column;
  /** The name of a CSS variable, such as `--accent`. */
  color: string;
  /** Filled down to 0. */
  area?: boolean;
  /** For what others are compared with. */
  dashed?: boolean;
}

interface Props {
  title: string;
  /** Starts of steps, seconds since 1970. */
  starts: readonly number[];
  series: readonly Series[];
  format: (value: number) => string;
  /** The top of the axis where all values are less; without it the axis fits the values. */
  atLeast?: number;
  height?: number;
}

/** Charts of one page show the same moment under the pointer. */
const TOGETHER = "charts";

export function Chart({ title, starts, series, format, atLeast = 0, height = 180 }: Props) {
  const area = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const [at, setAt] = useState<number | null>(null);
  const colors = shownColors.value;
  const zone = currentZone();
  const shape = JSON.stringify([series.map(({ label, color, area: filled, dashed }) => [label, color, filled, dashed]), atLeast, zone]);
  useEffect(() => {
    const node = area.current;
    if (!node) return;
    const made = new uPlot(optionsOf({ title, series, format, atLeast, height, starts }, node.clientWidth, zone, setAt), dataOf(starts, series), node);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: node.clientWidth, height }));
    observer.observe(node);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, colors, height]);
  useEffect(() => plot.current?.setData(dataOf(starts, series)), [starts, series]);
  const shown = at !== null && at < starts.length ? at : null;
  const tell = (value: number | null | undefined): string => (value === null || value === undefined ? "–" : format(value));
  return (
    <figure class="chart">
      <figcaption>
        <h3>
          {title} {shown !== null && <span class="soft">{showClock(nanosOf(starts[shown] ?? 0))}</span>}
        </h3>
        <span class="row chart-legend">
          {series.map(({ label, values, color, dashed }) => (
            <span key={label}>
              <span class="chart-key" style={{ borderTop: `3px ${dashed ? "dashed" : "solid"} var(${color})` }} /> {label}
              {shown !== null && <strong class="number"> {tell(values[shown])}</strong>}
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={area} class="chart-area" role="img" aria-label={`${title} over time; the table below has the same`} style={{ height: `${height}px` }} />
      <ChartTable title={title} starts={starts} series={series} tell={tell} />
    </figure>
  );
}

/** The same in words, for those who cannot see the chart or want the numbers. It is made when it is opened. */
function ChartTable({ title, starts, series, tell }: Pick<Props, "title" | "starts" | "series"> & { tell: (value: number | null | undefined) => string }) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary class="small">
        <span class="visually-hidden">{title}: </span>as a table
      </summary>
      {open && (
        <div class="chart-table" tabIndex={0} role="group" aria-label={`${title}, as a table`}>
          <table class="data">
            <thead>
              <tr>
                <th scope="col">From</th>
                {series.map(({ label }) => <th key={label} scope="col" class="number">{label}</th>)}
              </tr>
            </thead>
            <tbody>
              {starts.map((start, row) => (
                <tr key={start}>
                  <td>{showSecond(nanosOf(start))}</td>
                  {series.map(({ label, values }) => <td key={label} class="number">{tell(values[row])}</td>)}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}

function dataOf(starts: readonly number[], series: readonly Series[]): uPlot.AlignedData {
  return [[...starts], ...series.map(({ values }) => [...values])];
}

function optionsOf({ series, format, atLeast, height }: Required<Props>, width: number, zone: string | undefined, onPoint: (at: number | null) => void): uPlot.Options {
  const soft = resolved("--text-soft");
  const grid = { stroke: resolved("--line"), width: 1 };
  const ticks = { ...grid, size: 4 };
  const font = "11px system-ui, sans-serif";
  return {
    width,
    height,
    legend: { show: false },
    cursor: { sync: { key: TOGETHER }, drag: { x: true, y: false, setScale: false }, y: false },
    tzDate: (seconds) => (zone ? uPlot.tzDate(new Date(seconds * 1000), zone) : new Date(seconds * 1000)),
    scales: { y: { range: (_, __, high) => [0, Math.max((high ?? 0) * 1.08, atLeast) || 1] } },
    axes: [
      { stroke: soft, grid, ticks, font, size: 38, values: HOURS_FIRST },
      { stroke: soft, grid, ticks, font, size: 66, values: (_, splits) => splits.map(format) },
    ],
    series: [
      {},
      ...series.map(({ color, area, dashed }): uPlot.Series => {
        const stroke = resolved(color);
        return {
          stroke,
          width: dashed ? 1.25 : 1.75,
          ...(dashed ? { dash: [5, 4] } : {}),
          ...(area ? { fill: `color-mix(in srgb, ${stroke} 14%, transparent)` } : {}),
          points: { show: (plot: uPlot, at: number) => isLonely(plot, at), size: 5, fill: stroke },
        };
      }),
    ],
    hooks: {
      setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)],
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          const [from, to] = [plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")];
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          setParameters({ from: String(Math.round(from * 1000)), to: String(Math.round(to * 1000)) });
        },
      ],
    },
  };
}

/** Points are drawn where there are few values, since between two that are no neighbours there is no line. */
function isLonely(plot: uPlot, at: number): boolean {
  const values = plot.data[at] as (number | null)[];
  let known = 0;
  for (const value of values) if (value !== null) known += 1;
  return known > 0 && known <= Math.max(3, values.length / 8);
}

/** How times are written: the clock of 24 hours, and the day where it changes. */
const HOURS_FIRST: uPlot.Axis.DynamicValues = (() => {
  const day = 86_400;
  return [
    [365 * day, "{YYYY}", null, null, null, null, null, null, 1],
    [28 * day, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [day, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
    [1, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
    [0.001, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1],
  ] as unknown as uPlot.Axis.DynamicValues;
})();
