// How many spans of a service took how long, over time. Each cell leads to the traces behind it.
import { useMemo, useRef, useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery, showMinute, showSecond, type TimeRange } from "../../time/range";
import { showCount, showDuration } from "../../ui/format";
import { ErrorNote, Loading } from "../../ui/notes";
import { SvgLink } from "../../ui/SvgLink";
import { gridOf, nextCell, type Placed } from "./heatMap";

const ROW = 12;
const LEFT = 68;
const WIDTH = 1000;
const BOTTOM = 18;
const LABEL_EVERY = 3;

export function HeatMap({ service, range }: { service: string; range: TimeRange }) {
  const query = { ...rangeQuery(range), service };
  const { data, error, again } = useAnswer<Schemas["HeatMap"]>("/api/v1/analysis/heat-map", { query, workspace: currentWorkspace() });
  return (
    <section class="card stack" aria-label="How long spans took">
      <h2>How long spans took</h2>
      {error && <ErrorNote error={error} onRetry={again} />}
      {!data && !error && <Loading what="durations" />}
      {data && (data.cells.length ? <Cells map={data} service={service} /> : <p class="soft">No span of this service is stored in this time range.</p>)}
    </section>
  );
}

function Cells({ map, service }: { map: Schemas["HeatMap"]; service: string }) {
  const grid = useMemo(() => gridOf(map), [map]);
  const [at, setAt] = useState(0);
  const [over, setOver] = useState<Placed | null>(null);
  const svg = useRef<SVGSVGElement>(null);
  const height = grid.rows.length * ROW;
  const wide = (WIDTH - LEFT) / grid.columns;
  const focused = Math.min(at, grid.cells.length - 1);
  return (
    <>
      <div class="scroll-x">
        <svg
          ref={svg} class="heat-map" viewBox={`0 0 ${WIDTH} ${height + BOTTOM}`} role="group"
          aria-label="Spans by start and duration; arrow keys lead from cell to cell, Enter to the traces"
          onMouseLeave={() => setOver(null)}
          onKeyDown={(event) => {
            const next = nextCell(grid.cells, focused, event.key);
            if (next === undefined) return;
            event.preventDefault();
            setAt(next);
            svg.current?.querySelectorAll<SVGAElement>("a")[next]?.focus();
          }}
        >
          {grid.rows.map((upper, row) => row % LABEL_EVERY === 0 && (
            <text key={upper} x={LEFT - 6} y={height - row * ROW - 2} text-anchor="end">{showDuration(upper)}</text>
          ))}
          <text x={LEFT} y={height + 14}>{showMinute(BigInt(map.startUnixNano))}</text>
          <text x={WIDTH} y={height + 14} text-anchor="end">{showMinute(BigInt(map.endUnixNano))}</text>
          {grid.cells.map((placed, index) => {
            const { cell, column, row } = placed;
            return (
              <SvgLink
                key={`${column} ${row}`} href={tracesOf(cell, service)} tabIndex={index === focused ? 0 : -1} label={tell(cell)}
                onNear={() => { setAt(index); setOver(placed); }}
              >
                <rect
                  x={LEFT + column * wide} y={height - (row + 1) * ROW} width={Math.max(wide - 1, 1)} height={ROW - 1}
                  class={Number(cell.errors) > 0 ? "bad" : ""} fill-opacity={0.18 + 0.82 * Math.sqrt(Number(cell.count) / grid.most)}
                />
              </SvgLink>
            );
          })}
        </svg>
      </div>
      <p class="soft heat-map-told">{over ? tell(over.cell) : "Each cell opens the traces behind it. Red cells have failed spans."}</p>
    </>
  );
}

function tell(cell: Placed["cell"]): string {
  const failed = Number(cell.errors) ? `, ${showCount(cell.errors)} failed` : "";
  return `${showSecond(BigInt(cell.startUnixNano))}, ${showDuration(cell.minNanos)} to ${showDuration(cell.maxNanos)}: ${showCount(cell.count)} ${Number(cell.count) === 1 ? "span" : "spans"}${failed}`;
}

function tracesOf(cell: Placed["cell"], service: string): string {
  return linkTo("/search", { service, from: cell.startUnixNano, to: cell.endUnixNano, minDuration: `${cell.minNanos}ns`, maxDuration: `${cell.maxNanos}ns` });
}
