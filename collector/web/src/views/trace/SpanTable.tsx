// All spans as a table that can be put in order.
import { useMemo } from "preact/hooks";
import { parameter, setParameters } from "../../app/location";
import { colorAmong } from "../../ui/colors";
import { showDuration, showName } from "../../ui/format";
import { Windowed } from "../../ui/Windowed";
import { choosing } from "./choice";
import type { LoadedTrace } from "./loading";
import { barAt, type Bars, type Coded } from "./model";

type Order = "offset" | "duration" | "self" | "service" | "name";
const COLUMNS: readonly [Order, string, boolean][] = [
  ["service", "Service", false],
  ["name", "Operation", false],
  ["offset", "Start", true],
  ["duration", "Duration", true],
  ["self", "Self time", true],
];
const ROW = 26;

/** Places of the bars, in order. */
function sortedBy(bars: Bars, order: Order): Int32Array {
  const values = order === "service" || order === "name" ? ranks(bars[order]) : bars[order];
  return Int32Array.from(bars.index.keys()).sort((one, other) => (values[one] as number) - (values[other] as number) || one - other);
}

/** For each bar, how many texts come before its own. */
function ranks({ values, codes }: Coded): Int32Array {
  const rank = new Int32Array(values.length);
  [...values.keys()]
    .sort((one, other) => ((values[one] as string) < (values[other] as string) ? -1 : 1))
    .forEach((code, at) => (rank[code] = at));
  return codes.map((code) => rank[code] as number);
}

export function SpanTable({ trace }: { trace: LoadedTrace }) {
  const order = COLUMNS.find(([name]) => name === parameter("sort"))?.[0] ?? "offset";
  const down = parameter("order") === "desc";
  // Numbers that matter are the great ones; a column that is chosen once more is turned round.
  const sortBy = (name: Order, isNumber: boolean): void => {
    const turned = order === name ? !down : isNumber && name !== "offset";
    setParameters({ sort: name, order: turned ? "desc" : null }, true);
  };
  const sorted = useMemo(() => {
    const result = sortedBy(trace.bars, order);
    return down ? result.reverse() : result;
  }, [trace.bars, order, down]);
  return (
    <div>
      <div class="span-table head">
        {COLUMNS.map(([name, label, isNumber]) => (
          <button key={name} type="button" class={`button plain ${isNumber ? "number" : ""}`}
            aria-label={`Sort by ${label}${order === name ? (down ? ", now descending" : ", now ascending") : ""}`} onClick={() => sortBy(name, isNumber)}>
            {label} {order === name ? (down ? "↓" : "↑") : ""}
          </button>
        ))}
      </div>
      <Windowed count={sorted.length} rowHeight={ROW} height="70vh" label="Spans" row={(at, key) => {
        const bar = barAt(trace.bars, sorted[at] as number);
        return (
          <div key={key} role="listitem" class={`span-table ${bar.failed ? "error-text" : ""}`} style={{ height: `${ROW}px` }}>
            <span class="ellipsis"><span class="dot" style={{ background: colorAmong(trace.colors, bar.service) }} /> {showName(bar.service)}</span>
            <button type="button" class="button plain ellipsis left" onClick={() => setParameters(choosing(trace.bars, bar.at, true))}>
              {showName(bar.name)}
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
