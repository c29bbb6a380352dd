// All of the trace on one small canvas; drag over it to zoom, or use keys.
import { useState } from "preact/hooks";
import { resolved, resolvedAmong } from "../../ui/colors";
import { showDuration } from "../../ui/format";
import { useCanvas } from "../../ui/useCanvas";
import type { LoadedTrace } from "./loading";
import type { CriticalPath } from "./path";
import { zoomedBy, type Zoom } from "./zoom";

const HEIGHT = 40;
const PATH_HEIGHT = 3;

interface Props {
  trace: LoadedTrace;
  path: CriticalPath | undefined;
  total: number;
  zoom: Zoom;
  onZoom: (zoom: Zoom | null) => void;
}

export function Minimap({ trace: { bars, colors: services }, path, total, zoom, onZoom }: Props) {
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const { canvas } = useCanvas(HEIGHT, [bars, path, total], (context) => {
    // Pixels of the screen, of which a CSS pixel may have several.
    const { width, height } = context.canvas;
    const image = context.createImageData(width, height);
    const draw = painter(image, total);
    const colors = pixelsOf([...resolvedAmong(services, bars.service.values), resolved("--error"), resolved("--critical")]);
    const [error, critical] = colors.slice(-2);
    // Many more bars than lines: of those that fall on one line the later are drawn over the earlier.
    const step = height / Math.max(bars.count, 1);
    for (let at = 0; at < bars.count; at++) {
      const offset = bars.offset[at] as number;
      const color = bars.failed[at] ? error : colors[bars.service.codes[at] as number];
      draw(offset, offset + (bars.duration[at] as number), at * step, (at + 1) * step, color as number);
    }
    path?.from.forEach((from, at) => draw(from, path.to[at] as number, height - (PATH_HEIGHT * height) / HEIGHT, height, critical as number));
    context.putImageData(image, 0, 0);
  });
  const timeAt = (event: PointerEvent): number => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return (Math.min(Math.max(event.clientX - box.left, 0), box.width) / box.width) * total;
  };
  const isWhole = zoom.from <= 0 && zoom.to >= total;
  const marked = drag ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) } : isWhole ? null : zoom;
  const told = isWhole ? "all of it" : `${showDuration(zoom.to - zoom.from)}, from ${showDuration(zoom.from)} on`;
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || (isWhole && event.key === "Escape")) return;
    const wanted = zoomedBy(event.key, zoom, total);
    if (wanted === undefined) return;
    // Elsewhere they lead from span to span.
    event.stopPropagation();
    event.preventDefault();
    if (!isWhole || event.key === "ArrowUp") onZoom(wanted);
  };
  return (
    <div class="minimap">
      <div class="minimap-area" role="slider" tabIndex={0} aria-label="Part of the trace that is shown: arrow keys to the sides move it, up and down zoom in and out, Escape shows all"
        aria-valuemin={0} aria-valuemax={total} aria-valuenow={Math.max(zoom.from, 0)} aria-valuetext={told} onKeyDown={onKeyDown}
        onPointerDown={(event) => { event.currentTarget.setPointerCapture(event.pointerId); const at = timeAt(event); setDrag({ from: at, to: at }); }}
        onPointerMove={(event) => drag && setDrag({ ...drag, to: timeAt(event) })}
        onPointerUp={() => {
          if (drag && Math.abs(drag.to - drag.from) > total / 500) onZoom({ from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) });
          setDrag(null);
        }}
        onDblClick={() => onZoom(null)}>
        <canvas ref={canvas} aria-hidden="true" style={{ width: "100%", height: `${HEIGHT}px` }} />
        {marked && <span class="minimap-zoom" style={{ left: `${(marked.from / total) * 100}%`, width: `${((marked.to - marked.from) / total) * 100}%` }} />}
      </div>
      {!isWhole && (
        <p class="row soft">
          {told}
          <button type="button" class="button plain" onClick={() => onZoom(null)}>Whole trace</button>
        </p>
      )}
    </div>
  );
}

/** Fills rectangles of an image: from a time to another, between two heights; at least a pixel of each. As fast for a hundred
 * thousand of them as a canvas is for a few hundred. */
function painter({ data, width, height }: ImageData, total: number): (from: number, to: number, top: number, bottom: number, color: number) => void {
  const pixels = new Uint32Array(data.buffer);
  return (from, to, top, bottom, color) => {
    const left = Math.min(Math.floor((from / total) * width), width - 1);
    const right = Math.min(Math.max(Math.ceil((to / total) * width), left + 1), width);
    const last = Math.min(Math.max(Math.ceil(bottom), Math.floor(top) + 1), height);
    for (let y = Math.floor(top); y < last; y++) pixels.fill(color, y * width + left, y * width + right);
  };
}

/** Colours of CSS as pixels of an image. */
function pixelsOf(colors: readonly string[]): Uint32Array {
  const context = new OffscreenCanvas(colors.length, 1).getContext("2d");
  if (!context) return new Uint32Array(colors.length);
  colors.forEach((color, at) => {
    context.fillStyle = color;
    context.fillRect(at, 0, 1, 1);
  });
  return new Uint32Array(context.getImageData(0, 0, colors.length, 1).data.buffer);
}
