// How many spans took how long, over time. Each cell leads to the traces behind it; a part of it can be compared with the rest.
import { useMemo, useRef, useState } from "preact/hooks";
import type { Query, Schemas } from "../../api/client";
import { useAnswer, type Standing } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery, showMinute, showSecond, type TimeRange } from "../../time/range";
import { WAYS } from "../../ui/arrows";
import { showCount, showDuration } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import { SvgLink } from "../../ui/SvgLink";
import { boxAt, boxText, durationWithin, gridOf, nextCell, placesOf, readBox, type Grid, type Placed, type Places } from "./heatMap";
import { searchOf } from "./searches";

type Map = Schemas["HeatMap"];

const LEFT = 68;
const WIDTH = 1000;
const BOTTOM = 18;
const HEIGHT = 300;
/** How high a row may be, and how far apart labels are at least. */
const [LOWEST, HIGHEST] = [6, 14];
const LABEL = 30;

/** The heat map of the spans that fit conditions. */
interface Mapped {
  map: Map | undefined;
  grid: Grid | undefined;
  /** How long 95 % of the spans take at most, nanoseconds; 0 where there are none. */
  slow: number;
  answer: Standing;
}

export function useHeatMap(conditions: Query, range: TimeRange): Mapped {
  const answer = useAnswer<Map>("/api/v1/analysis/heat-map", { query: { ...conditions, ...rangeQuery(range) }, workspace: currentWorkspace() });
  const map = answer.data;
  const grid = useMemo(() => (map?.cells.length ? gridOf(map) : undefined), [map]);
  return { map, grid, slow: grid ? durationWithin(grid, 0.95) : 0, answer };
}

export function HeatMap({ map, grid, answer }: Mapped) {
  return (
    <section class="card stack" aria-label="How long spans took">
      <h2>How long spans took</h2>
      <AnswerNote of={answer} what="durations" />
      {map && (grid ? <Cells map={map} grid={grid} /> : <p class="soft">No such span is stored in this time range.</p>)}
    </section>
  );
}

function Cells({ map, grid }: { map: Map; grid: Grid }) {
  const [at, setAt] = useState(0);
  const [over, setOver] = useState<Placed | null>(null);
  const [drag, setDrag] = useState<Places | null>(null);
  const moved = useRef(false);
  const svg = useRef<SVGSVGElement>(null);
  const row = Math.min(Math.max(HEIGHT / grid.rows.length, LOWEST), HIGHEST);
  const height = grid.rows.length * row;
  const wide = (WIDTH - LEFT) / grid.columns;
  const focused = Math.min(at, grid.cells.length - 1);
  const box = useMemo(() => readBox(parameter("box")), [parameter("box")]);
  const marked = drag ?? (box && placesOf(map, grid, box));
  const choose = (places: Places): void => setParameters({ box: boxText(boxAt(map, grid, places)), apart: null }, true);
  const placeOf = (event: PointerEvent): [number, number] => {
    const area = svg.current?.getBoundingClientRect() ?? new DOMRect(0, 0, 1, 1);
    const [x, y] = [((event.clientX - area.left) / area.width) * WIDTH, ((event.clientY - area.top) / area.height) * (height + BOTTOM)];
    const within = (value: number, count: number): number => Math.min(Math.max(Math.floor(value), 0), count - 1);
    return [within((x - LEFT) / wide, grid.columns), within((height - y) / row, grid.rows.length)];
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const way = WAYS[event.key];
    if (event.key === "Escape" && box) return setParameters({ box: null }, true);
    if (!way) return;
    event.preventDefault();
    if (event.shiftKey) {
      const here = grid.cells[focused] as Placed;
      const [column, level, right, top] = marked ?? [here.column, here.row, here.column, here.row];
      // What was chosen grows on the side that the key points to.
      choose([column + Math.min(way[0], 0), level + Math.min(way[1], 0), right + Math.max(way[0], 0), top + Math.max(way[1], 0)]
        .map((place, which) => Math.min(Math.max(place, 0), (which % 2 ? grid.rows.length : grid.columns) - 1)) as unknown as Places);
      return;
    }
    const next = nextCell(grid.cells, focused, event.key) ?? focused;
    setAt(next);
    svg.current?.querySelectorAll<SVGAElement>("a")[next]?.focus();
  };
  const every = Math.ceil(LABEL / row);
  return (
    <>
      <div class="scroll-x">
        <svg
          ref={svg} class="heat-map" viewBox={`0 0 ${WIDTH} ${height + BOTTOM}`} role="group"
          aria-label="Spans by start and duration; arrow keys lead from cell to cell, Enter to the traces, and with Shift they choose a part to compare"
          onMouseLeave={() => setOver(null)}
          onKeyDown={onKeyDown}
          onPointerDown={(event) => {
            moved.current = false;
            if (event.button === 0 && event.pointerType !== "touch") setDrag([...placeOf(event), ...placeOf(event)]);
          }}
          onPointerMove={(event) => {
            if (!drag) return;
            const [column, level] = placeOf(event);
            if (!moved.current && (column !== drag[0] || level !== drag[1])) {
              moved.current = true;
              event.currentTarget.setPointerCapture(event.pointerId);
            }
            setDrag([drag[0], drag[1], column, level]);
          }}
          onPointerUp={() => {
            if (drag && moved.current) choose(drag);
            setDrag(null);
          }}
          onPointerCancel={() => setDrag(null)}
          onDragStart={(event) => event.preventDefault()}
          onClickCapture={(event) => {
            // What ends a drag is no click on the cell below.
            if (!moved.current) return;
            moved.current = false;
            event.preventDefault();
            event.stopPropagation();
          }}
        >
          <rect class="ground" x={LEFT} y={0} width={WIDTH - LEFT} height={height} />
          {grid.rows.map(({ to }, level) => level % every === 0 && height - level * row > LABEL / 2 && (
            <text key={to} x={LEFT - 6} y={height - level * row - 2} text-anchor="end">{showDuration(to)}</text>
          ))}
          <text x={LEFT} y={height + 14}>{showMinute(BigInt(map.startUnixNano))}</text>
          <text x={WIDTH} y={height + 14} text-anchor="end">{showMinute(BigInt(map.endUnixNano))}</text>
          {grid.cells.map((placed, index) => {
            const { cell, column, row: level } = placed;
            return (
              <SvgLink
                key={`${column} ${level}`} href={linkTo("/search", searchOf(map.search, cell.search))} tabIndex={index === focused ? 0 : -1} label={tell(cell)}
                onNear={() => { setAt(index); setOver(placed); }}
              >
                <rect
                  x={LEFT + column * wide} y={height - (level + 1) * row} width={Math.max(wide - 1, 1)} height={row - 1}
                  class={Number(cell.errors) > 0 ? "bad" : ""} fill-opacity={0.18 + 0.82 * Math.sqrt(Number(cell.count) / grid.most)}
                />
              </SvgLink>
            );
          })}
          {marked && (
            <rect
              class="chosen-part" x={LEFT + Math.min(marked[0], marked[2]) * wide} y={height - (Math.max(marked[1], marked[3]) + 1) * row}
              width={(Math.abs(marked[2] - marked[0]) + 1) * wide} height={(Math.abs(marked[3] - marked[1]) + 1) * row}
            />
          )}
        </svg>
      </div>
      <p class="soft heat-map-told">
        {over ? tell(over.cell) : "Each cell opens the traces behind it; red ones have failed spans. Drag over some to see what sets them apart."}
      </p>
    </>
  );
}

function tell(cell: Placed["cell"]): string {
  const failed = Number(cell.errors) ? `, ${showCount(cell.errors)} failed` : "";
  return `${showSecond(BigInt(cell.startUnixNano))}, ${showDuration(cell.minNanos)} to ${showDuration(cell.maxNanos)}: ${showCount(cell.count)} ${Number(cell.count) === 1 ? "span" : "spans"}${failed}`;
}
