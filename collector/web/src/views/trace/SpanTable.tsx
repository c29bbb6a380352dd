// All spans as a table that can be put in order.
import { useMemo, useState } from "preact/hooks";
import { setParameters } from "../../app/location";
import { serviceColor } from "../../ui/colors";
import { showDuration } from "../../ui/format";
import { Windowed } from "../../ui/Windowed";
import type { LoadedTrace } from "./loading";
import type { Bar } from "./model";

type Order = "offset" | "duration" | "self" | "service" | "name";
const COLUMNS: readonly [Order, string, boolean][] = [
  ["service", "Service", false],
  ["name", "Operation", false],
  ["offset", "Start", true],
  ["duration", "Duration", true],
  ["self", "Self time", true],
];
const ROW = 26;

function compare(order: Order): (one: Bar, other: Bar) => number {
  if (order === "service" || order === "name") return (one, other) => (one[order] < other[order] ? -1 : one[order] > other[order] ? 1 : one.at - other.at);
  return (one, other) => one[order] - other[order] || one.at - other.at;
}

export function SpanTable({ trace }: { trace: LoadedTrace }) {
  const [order, setOrder] = useState<Order>("offset");
  const [down, setDown] = useState(false);
  const sorted = useMemo(() => {
    const result = [...trace.bars].sort(compare(order));
    return down ? result.reverse() : result;
  }, [trace.bars, order, down]);
  return (
    <div>
      <div class="span-table head">
        {COLUMNS.map(([name, label, isNumber]) => (
          <button key={name} type="button" class={`button plain ${isNumber ? "number" : ""}`}
            aria-label={`Sort by ${label}`}
            onClick={() => { setDown(order === name ? !down : isNumber && name !== "offset"); setOrder(name); }}>
            {label} {order === name ? (down ? "↓" : "↑") : ""}
          </button>
        ))}
      </div>
      <Windowed count={sorted.length} rowHeight={ROW} height="70vh" label="Spans" row={(at, key) => {
        const bar = sorted[at] as Bar;
        return (
          <div key={key} role="listitem" class={`span-table ${bar.failed ? "error-text" : ""}`} style={{ height: `${ROW}px` }}>
            <span class="ellipsis"><span class="dot" style={{ background: serviceColor(bar.service) }} /> {bar.service}</span>
            <button type="button" class="button plain ellipsis left" onClick={() => setParameters({ span: String(bar.index), tab: null })}>
              {bar.name}
            </button>
            <span class="number">{showDuration(bar.offset)}</span>
            <span class="number">{showDuration(bar.duration)}</span>
            <span class="number">{showDuration(bar.self)}</span>
          </div>
        );
      }} />
    </div>
  );
}
