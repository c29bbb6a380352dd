// The hits as points: when they started, how long they took, and which failed. Drag over some to search among them only.
import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { go, linkTo, setParameters } from "../../app/location";
import { showSecond } from "../../time/range";
import { resolved } from "../../ui/colors";
import { showDuration, showName } from "../../ui/format";
import { useCanvas } from "../../ui/useCanvas";
import { Walked, type Mark } from "../../ui/Walked";
import { nextByWeight } from "../trace/model";

type Hit = Schemas["Traces"]["traces"][number];

const HEIGHT = 170;
const [LEFT, RIGHT] = [64, 10];
const [TOP, BOTTOM] = [8, 20];
const NEAR = 8;

interface Point {
  x: number;
  y: number;
  radius: number;
  hit: Hit;
}

export function Scatter({ traces, range }: { traces: readonly Hit[]; range: { start: string; end: string } }) {
  const [over, setOver] = useState<Hit | null>(null);
  const [marked, setMarked] = useState("");
  const [drag, setDrag] = useState<[number, number, number, number] | null>(null);
  const start = BigInt(range.start);
  const length = Math.max(Number(BigInt(range.end) - start), 1);
  const durations = traces.map((hit) => Math.max(Number(hit.durationNanos), 1));
  const low = Math.log10(Math.min(...durations)) - 0.1;
  const high = Math.log10(Math.max(...durations)) + 0.1;
  // What began before the time that is searched stands at its edge.
  const toX = (ns: bigint, width: number): number => LEFT + Math.min(Math.max(Number(ns - start) / length, 0), 1) * (width - LEFT - RIGHT);
  const toY = (duration: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (Math.log10(Math.max(duration, 1)) - low) / (high - low));
  const pointOf = (hit: Hit, width: number): Point =>
    ({ x: toX(BigInt(hit.startTimeUnixNano), width), y: toY(Number(hit.durationNanos)), radius: Math.min(3 + Math.log10(hit.spanCount + 1), 8), hit });
  const { canvas, width } = useCanvas(HEIGHT, [traces], (context, width) => {
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = resolved("--text-soft");
    context.strokeStyle = resolved("--line");
    for (let power = Math.ceil(low); power <= high; power++) {
      const y = toY(10 ** power);
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(width, y);
      context.stroke();
      context.fillText(showDuration(10 ** power), 2, Math.max(y + 4, 10));
    }
    context.fillText(showSecond(start), LEFT, HEIGHT - 4);
    context.textAlign = "right";
    context.fillText(showSecond(BigInt(range.end)), width - 4, HEIGHT - 4);
    const [good, bad] = [resolved("--accent"), resolved("--error")];
    context.globalAlpha = 0.75;
    for (const each of traces) {
      const { x, y, radius, hit } = pointOf(each, width);
      context.fillStyle = hit.errorCount ? bad : good;
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
    }
  });
  const near = (event: MouseEvent): Hit | null => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best: Hit | null = null;
    let least = NEAR * NEAR;
    for (const hit of traces) {
      const point = pointOf(hit, width);
      const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
      if (distance <= least) [best, least] = [hit, distance];
    }
    return best;
  };
  const place = (event: PointerEvent): [number, number] => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const select = ([x1, y1, x2, y2]: [number, number, number, number]): void => {
    const [left, right] = [Math.min(x1, x2), Math.max(x1, x2)];
    const [top, bottom] = [Math.min(y1, y2), Math.max(y1, y2)];
    const timeAt = (x: number): string => String((start + BigInt(Math.round(((x - LEFT) / (width - LEFT - RIGHT)) * length))) / 1_000_000n);
    const durationAt = (y: number): string => `${Math.max(1, Math.round(10 ** (low + (1 - (y - TOP) / (HEIGHT - TOP - BOTTOM)) * (high - low))))}ns`;
    setParameters({ from: timeAt(Math.max(left, LEFT)), to: timeAt(right), minTraceDuration: durationAt(bottom), maxTraceDuration: durationAt(top) });
  };
  const at = traces.findIndex((hit) => hit.traceId === marked);
  const chosen = traces[at];
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const starts = (): Float64Array => Float64Array.from(traces, (hit) => Number(BigInt(hit.startTimeUnixNano) - start));
    const mark = (weights: Float64Array, from: number, step: 1 | -1): void => {
      const next = nextByWeight(weights, from, step);
      // Behind the last one nothing is, and not the first one again.
      const isBeyond = from >= 0 && step * ((weights[next] as number) - (weights[from] as number)) > 0;
      if (!isBeyond) setMarked(traces[next]?.traceId ?? "");
    };
    switch (event.key) {
      case "ArrowUp": case "k": mark(Float64Array.from(durations), at, -1); break;
      case "ArrowDown": case "j": mark(Float64Array.from(durations), at, 1); break;
      case "ArrowRight": case "l": mark(starts(), at, -1); break;
      case "ArrowLeft": case "h": mark(starts(), at, 1); break;
      case "Home": mark(starts(), -1, -1); break;
      case "End": mark(starts(), -1, 1); break;
      case "Enter": if (chosen) openTrace(chosen); break;
      case "Escape": setMarked(""); break;
      default: return;
    }
    event.preventDefault();
  };
  const markOf = (hit: Hit): Mark => {
    const { x, y, radius } = pointOf(hit, width);
    return { key: hit.traceId, text: `${tell(hit)}, ${showSecond(BigInt(hit.startTimeUnixNano))}`, left: x - radius, top: y - radius, width: 2 * radius, height: 2 * radius };
  };
  const told = over ?? chosen;
  return (
    <div class="scatter">
      <Walked role="listbox" mark={chosen && markOf(chosen)} onKeyDown={onKeyDown}
        label="Hits by start and duration; arrow keys lead to slower and faster ones, to earlier and later ones, Enter opens one. The list below has the same.">
        <canvas ref={canvas} aria-hidden="true" style={{ width: "100%", height: `${HEIGHT}px`, cursor: over ? "pointer" : "crosshair", touchAction: "none" }}
          onMouseMove={(event) => setOver(near(event))} onMouseLeave={() => setOver(null)}
          onPointerDown={(event) => { event.currentTarget.setPointerCapture(event.pointerId); const [x, y] = place(event); setDrag([x, y, x, y]); }}
          onPointerMove={(event) => drag && setDrag([drag[0], drag[1], ...place(event)])}
          onPointerUp={(event) => {
            const hit = near(event);
            if (drag && Math.hypot(drag[2] - drag[0], drag[3] - drag[1]) > 6) select(drag);
            else if (hit) openTrace(hit);
            setDrag(null);
          }} />
      </Walked>
      {drag && <span class="scatter-drag" style={{
        left: `${Math.min(drag[0], drag[2])}px`, top: `${Math.min(drag[1], drag[3])}px`,
        width: `${Math.abs(drag[2] - drag[0])}px`, height: `${Math.abs(drag[3] - drag[1])}px`,
      }} />}
      <p class="soft scatter-over">{told ? tell(told) : "Drag to search among some of them."}</p>
    </div>
  );
}

function openTrace(hit: Hit): void {
  go(linkTo(`/trace/${hit.traceId}`));
}

function tell({ rootService, rootName, durationNanos, errorCount }: Hit): string {
  const name = rootService === null ? "the root has not come" : `${showName(rootService)}: ${showName(rootName)}`;
  return `${name}, ${showDuration(durationNanos)}${errorCount ? ", with failed spans" : ""}`;
}
