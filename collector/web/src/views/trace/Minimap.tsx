// All of the trace on one small canvas; drag over it to zoom, drag what is zoomed to move it.
import { useEffect, useRef, useState } from "preact/hooks";
import { colorIndex, resolved } from "../../ui/colors";
import { showDuration } from "../../ui/format";
import { theme } from "../../ui/theme";
import type { Bar } from "./model";
import type { OnPath } from "./path";
import type { Zoom } from "./Waterfall";

const HEIGHT = 64;

interface Props {
  bars: readonly Bar[];
  path: Map<number, OnPath> | undefined;
  total: number;
  zoom: Zoom;
  onZoom: (zoom: Zoom | null) => void;
}

export function Minimap({ bars, path, total, zoom, onZoom }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(1000);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  useEffect(() => {
    const node = canvas.current?.parentElement;
    if (!node) return;
    const observer = new ResizeObserver(() => setWidth(node.clientWidth));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const node = canvas.current;
    const context = node?.getContext("2d");
    if (!node || !context) return;
    const scale = window.devicePixelRatio || 1;
    node.width = width * scale;
    node.height = HEIGHT * scale;
    context.scale(scale, scale);
    const colors = Array.from({ length: 24 }, (_, at) => resolved(`--service-${at}`));
    const error = resolved("--error");
    const critical = resolved("--critical");
    // Many more bars than lines: of those that fall on one line the later are drawn over the earlier.
    const step = HEIGHT / Math.max(bars.length, 1);
    const height = Math.max(step, 1);
    for (const bar of bars) {
      const x = (bar.offset / total) * width;
      context.fillStyle = bar.failed ? error : (colors[colorIndex(bar.service)] ?? "");
      context.fillRect(x, bar.at * step, Math.max((bar.duration / total) * width, 1), height);
    }
    if (path) {
      context.fillStyle = critical;
      for (const on of path.values()) for (const segment of on.segments) {
        context.fillRect((segment.from / total) * width, HEIGHT - 3, Math.max(((segment.to - segment.from) / total) * width, 0.5), 3);
      }
    }
  }, [bars, path, total, width, theme.value]);
  const timeAt = (event: PointerEvent): number => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return (Math.min(Math.max(event.clientX - box.left, 0), box.width) / box.width) * total;
  };
  const isWhole = zoom.from <= 0 && zoom.to >= total;
  const marked = drag ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) } : isWhole ? null : zoom;
  return (
    <div class="minimap">
      <div class="minimap-area"
        onPointerDown={(event) => { event.currentTarget.setPointerCapture(event.pointerId); const at = timeAt(event); setDrag({ from: at, to: at }); }}
        onPointerMove={(event) => drag && setDrag({ ...drag, to: timeAt(event) })}
        onPointerUp={() => {
          if (drag && Math.abs(drag.to - drag.from) > total / 500) onZoom({ from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) });
          setDrag(null);
        }}
        onDblClick={() => onZoom(null)}>
        <canvas ref={canvas} role="img" aria-label="The whole trace; drag to zoom, z and Z do the same by key" style={{ width: "100%", height: `${HEIGHT}px` }} />
        {marked && <span class="minimap-zoom" style={{ left: `${(marked.from / total) * 100}%`, width: `${((marked.to - marked.from) / total) * 100}%` }} />}
      </div>
      {!isWhole && (
        <p class="row soft">
          {showDuration(zoom.from)} – {showDuration(zoom.to)}
          <button type="button" class="button plain" onClick={() => onZoom(null)}>Whole trace</button>
        </p>
      )}
    </div>
  );
}
