// The flame graph: as wide as it lasts, below what called it. On a canvas, so that 100,000 spans are no more than rectangles.
import { useMemo, useState } from "preact/hooks";
import { parameter, setParameters } from "../../app/location";
import { resolved, resolvedAmong } from "../../ui/colors";
import { showCount, showDuration, showName } from "../../ui/format";
import { useCanvas } from "../../ui/useCanvas";
import { Walked, type Mark } from "../../ui/Walked";
import { choosing } from "./choice";
import { placeBy } from "./flameKeys";
import { flameRows } from "./flameRows";
import type { LoadedTrace } from "./loading";
import { barAt, endOf, textAt, type Bar } from "./model";
import { nameOf, placeNamed } from "./named";

const ROW = 20;
/** In pixels: of a bar, however short; of one from which a line leads to what called it, if that is not right above; and how far from a
 * short one it can still be pointed at. */
const LEAST_WIDTH = 1;
const LINED = 4;
const NEAR = 3;
/** Of what is marked, however short. */
const LEAST_MARK = 4;
/** Browsers draw nothing at all where a canvas is higher. */
const MOST_ROWS = 700;

export function Flame({ trace }: { trace: LoadedTrace }) {
  const [over, setOver] = useState<Bar | null>(null);
  const { bars, header } = trace;
  const focus = placeNamed(bars, parameter("focus"));
  const root = focus < 0 ? null : barAt(bars, focus);
  const lookInto = (bar: Bar | null) => setParameters({ focus: bar && nameOf(bars, bar.at) });
  const from = root?.offset ?? 0;
  const length = Math.max(root?.duration ?? Number(header.durationNanos), 1);
  const rows = useMemo(() => flameRows(bars), [bars]);
  const [first, end] = root ? [root.at, endOf(bars, root.at)] : [0, bars.count];
  const top = root ? (rows[root.at] as number) : 0;
  const needed = useMemo(() => rows.subarray(first, end).reduce((most, row) => Math.max(most, row - top + 1), 1), [rows, first, end]);
  const height = Math.min(needed, MOST_ROWS) * ROW;
  const { canvas, width } = useCanvas(height, [bars, from, length, first], (context, width) => {
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const text = resolved("--bg-sunken");
    const [error, line] = [resolved("--error"), resolved("--text-soft")];
    const services = resolvedAmong(trace.colors, bars.service.values);
    // For each row the pixel that a short bar was drawn to: of many that fall on one the first is seen, and those that failed.
    const taken = new Int32Array(needed).fill(-1);
    for (let at = first; at < end; at++) {
      const start = (((bars.offset[at] as number) - from) / length) * width;
      const w = ((bars.duration[at] as number) / length) * width;
      const row = (rows[at] as number) - top;
      if (row >= MOST_ROWS || start > width || start + w < 0) continue;
      const x = Math.min(start, width - LEAST_WIDTH);
      if (w < LEAST_WIDTH) {
        const pixel = Math.floor(x);
        if (taken[row] === pixel && !bars.failed[at]) continue;
        taken[row] = pixel;
      }
      const y = row * ROW;
      const above = row > 0 ? (rows[bars.parent[at] as number] ?? -1) + 1 - top : row;
      // Where others are between a span and the one that called it.
      if (above < row && w >= LINED) {
        context.fillStyle = line;
        context.fillRect(Math.max(x, 0), above * ROW, 1, y - above * ROW);
      }
      context.fillStyle = services[bars.service.codes[at] as number] as string;
      context.fillRect(x, y, Math.max(w - 0.5, LEAST_WIDTH), ROW - 1);
      if (bars.failed[at]) {
        context.fillStyle = error;
        context.fillRect(x, y + ROW - 4, Math.max(w - 0.5, LEAST_WIDTH), 3);
      }
      const left = Math.max(x, 0);
      if (x + w - left > 30) {
        context.save();
        context.beginPath();
        context.rect(left, y, x + w - left - 2, ROW);
        context.clip();
        context.fillStyle = text;
        context.fillText(textAt(bars.name, at), left + 4, y + ROW / 2);
        context.restore();
      }
    }
  });
  const named = placeNamed(bars, parameter("span"));
  const chosen = named < first || named >= end ? undefined : barAt(bars, named);
  const markOf = (bar: Bar): Mark => {
    const left = Math.max(((bar.offset - from) / length) * width, 0);
    const right = Math.min(((bar.offset + bar.duration - from) / length) * width, width);
    const place = { left: Math.min(left, width - LEAST_MARK), top: Math.min((rows[bar.at] as number) - top, MOST_ROWS - 1) * ROW, width: Math.max(right - left, LEAST_MARK), height: ROW - 1 };
    return { key: bar.at, text: tell(bar), level: bar.depth + 1, ...place };
  };
  const choose = (at: number) => setParameters({ span: nameOf(bars, at), ...(parameter("span") ? {} : { panel: "closed" }) }, true);
  const show = (bar: Bar) => setParameters(choosing(bars, bar.at, true));
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const place = placeBy(event.key, bars, named, first, end);
    if (place !== undefined) choose(place);
    else if (event.key === "Enter" && chosen) chosen.at === focus ? show(chosen) : lookInto(chosen);
    else if (event.key === "Escape" && root) lookInto(root.parent < 0 ? null : barAt(bars, root.parent));
    else return;
    event.preventDefault();
  };
  const find = (event: MouseEvent): Bar | null => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const row = top + Math.floor((event.clientY - box.top) / ROW);
    const time = from + ((event.clientX - box.left) / width) * length;
    let [nearest, least] = [-1, (NEAR / width) * length];
    for (let at = end - 1; at >= first && least > 0; at--) {
      if (rows[at] !== row) continue;
      const offset = bars.offset[at] as number;
      const distance = Math.max(offset - time, time - offset - (bars.duration[at] as number), 0);
      if (distance < least) [nearest, least] = [at, distance];
    }
    return nearest < 0 ? null : barAt(bars, nearest);
  };
  const told = over ?? chosen ?? root;
  return (
    <div>
      <div class="row spread">
        <p class="soft" role="status">{told ? tell(told) : "Click a span to look into it."}</p>
        {root && (
          <span class="row">
            <button type="button" class="button" onClick={() => show(root)}>Show in the waterfall</button>
            <button type="button" class="button" onClick={() => lookInto(null)}>Whole trace</button>
          </span>
        )}
      </div>
      {needed > MOST_ROWS && <p class="note">There are {showCount(needed - MOST_ROWS)} rows more below these. Look into a span to see what is below it.</p>}
      <Walked role="tree" label="Flame graph; arrow keys lead to what a span calls, to what calls it and to those beside it, Enter looks into one, Escape out again"
        mark={chosen && markOf(chosen)} onKeyDown={onKeyDown}>
        <canvas
          ref={canvas}
          aria-hidden="true"
          style={{ width: "100%", height: `${height}px`, cursor: "pointer" }}
          onMouseMove={(event) => setOver(find(event))}
          onMouseLeave={() => setOver(null)}
          onClick={(event) => lookInto(find(event))}
        />
      </Walked>
    </div>
  );
}

function tell({ service, name, duration, self, failed }: Bar): string {
  return `${showName(service)}: ${showName(name)}, ${showDuration(duration)} (self ${showDuration(self)})${failed ? ", failed" : ""}`;
}
