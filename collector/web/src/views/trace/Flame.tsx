// The flame graph: as wide as it lasts, below what called it. On a canvas, so that 100,000 spans are no more than rectangles.
import { useState } from "preact/hooks";
import { parameter, setParameters } from "../../app/location";
import { resolved, resolvedAmong } from "../../ui/colors";
import { showDuration } from "../../ui/format";
import { useCanvas } from "../../ui/useCanvas";
import { choosing } from "./choice";
import type { LoadedTrace } from "./loading";
import { barAt, textAt, type Bar } from "./model";
import { nameOf, placeNamed } from "./named";

const ROW = 20;
const LEAST_WIDTH = 0.4;

export function Flame({ trace }: { trace: LoadedTrace }) {
  const [over, setOver] = useState<Bar | null>(null);
  const { bars, header } = trace;
  const focus = placeNamed(bars, parameter("focus"));
  const root = focus < 0 ? null : barAt(bars, focus);
  const lookInto = (bar: Bar | null) => setParameters({ focus: bar && nameOf(bars, bar.at) });
  const from = root?.offset ?? 0;
  const length = Math.max(root?.duration ?? Number(header.durationNanos), 1);
  const top = root?.depth ?? 0;
  const height = (header.depth - top) * ROW;
  const { canvas, width } = useCanvas(height, [bars, from, length, top], (context, width) => {
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    const text = resolved("--bg-sunken");
    const error = resolved("--error");
    const services = resolvedAmong(trace.colors, bars.service.values);
    for (let at = 0; at < bars.count; at++) {
      const x = (((bars.offset[at] as number) - from) / length) * width;
      const w = ((bars.duration[at] as number) / length) * width;
      const row = (bars.depth[at] as number) - top;
      if (row < 0 || x > width || x + w < 0 || w < LEAST_WIDTH) continue;
      const y = row * ROW;
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
  const find = (event: MouseEvent): Bar | null => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const depth = top + Math.floor((event.clientY - box.top) / ROW);
    const time = from + ((event.clientX - box.left) / width) * length;
    for (let at = bars.count - 1; at >= 0; at--) {
      const offset = bars.offset[at] as number;
      if (bars.depth[at] === depth && offset <= time && time <= offset + (bars.duration[at] as number)) return barAt(bars, at);
    }
    return null;
  };
  return (
    <div>
      <div class="row spread">
        <p class="soft" role="status">
          {over ? `${over.service}: ${over.name}, ${showDuration(over.duration)} (self ${showDuration(over.self)})` : root ? `${root.service}: ${root.name}, ${showDuration(root.duration)}` : "Click a span to look into it."}
        </p>
        {root && (
          <span class="row">
            <button type="button" class="button" onClick={() => setParameters(choosing(bars, root.at, true))}>Show in the waterfall</button>
            <button type="button" class="button" onClick={() => lookInto(null)}>Whole trace</button>
          </span>
        )}
      </div>
      <div>
        <canvas
          ref={canvas}
          role="img"
          aria-label="Flame graph; the tab Spans has the same as a table"
          style={{ width: "100%", height: `${height}px`, cursor: "pointer" }}
          onMouseMove={(event) => setOver(find(event))}
          onMouseLeave={() => setOver(null)}
          onClick={(event) => lookInto(find(event))}
        />
      </div>
    </div>
  );
}
