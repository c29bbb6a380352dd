// The waterfall: a row for each span, as far as it can be seen; a map of the whole trace above; keys for everything.
import { useCallback, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { Dialog } from "../../ui/Dialog";
import { showCount, showDuration } from "../../ui/format";
import { Windowed } from "../../ui/Windowed";
import type { LoadedTrace } from "./loading";
import { Minimap } from "./Minimap";
import { ancestors, ends, matches, nextPlace, visible, type Bar } from "./model";
import { readPath, type OnPath } from "./path";
import { ROW, WaterfallRow } from "./WaterfallRow";
import { SpanPanel } from "./SpanPanel";

export interface Zoom {
  from: number;
  to: number;
}

const KEYS: readonly [string, string][] = [
  ["↓ or j, ↑ or k", "next and previous span"],
  ["→ or l, ← or h", "open, or close and go to the parent"],
  ["Enter", "all that is known of the span"],
  ["e, E", "next and previous span that failed"],
  ["c, C", "next and previous span on the critical path"],
  ["n, N", "next and previous span that fits the search"],
  ["f", "only this span and what is below it; once more for all"],
  ["z, Z", "zoom to the span, and out again"],
  ["r", "draw spans that repeat as one, or each"],
  ["/", "search within the trace"],
  ["Escape", "close what is open"],
  ["?", "these keys"],
];

export function Waterfall({ traceId, trace }: { traceId: string; trace: LoadedTrace }) {
  const { bars, header } = trace;
  const total = Math.max(Number(header.durationNanos), 1);
  const end = useMemo(() => ends(bars), [bars]);
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set());
  const [focus, setFocus] = useState(-1);
  const [panel, setPanel] = useState(parameter("span") !== "");
  const [help, setHelp] = useState(false);
  const search = parameter("find");
  const showPath = parameter("path", "on") === "on";
  const zoom = readZoom(parameter("zoom"), total);
  const rows = useRef<HTMLDivElement>(null);
  const searchBox = useRef<HTMLInputElement>(null);
  const shown = useMemo(() => visible(bars, end, collapsed, focus), [bars, end, collapsed, focus]);
  const path = usePath(traceId, header, showPath && !trace.more);
  const byIndex = useMemo(() => new Map(bars.map((bar) => [bar.index, bar.at])), [bars]);
  const chosen = byIndex.get(Number(parameter("span", "-1"))) ?? -1;
  const chosenRow = chosen < 0 ? -1 : shown.indexOf(chosen);
  const hits = useMemo(() => (search ? bars.filter((bar) => matches(bar, search)).length : 0), [bars, search]);

  const choose = useCallback((at: number) => {
    const bar = bars[at];
    if (!bar) return;
    const above = ancestors(bars, at);
    setCollapsed((before) => (above.some((each) => before.has(each)) ? new Set([...before].filter((each) => !above.includes(each))) : before));
    setFocus((before) => (before >= 0 && before !== at && !above.includes(before) ? -1 : before));
    setParameters({ span: String(bar.index) }, true);
  }, [bars]);
  const toggle = useCallback((at: number) => {
    setCollapsed((before) => {
      const after = new Set(before);
      if (!after.delete(at)) after.add(at);
      return after;
    });
  }, []);
  const setZoom = (wanted: Zoom | null) => setParameters({ zoom: wanted ? `${Math.round(wanted.from)}-${Math.round(wanted.to)}` : null }, true);

  const jump = (step: 1 | -1, holds: (bar: Bar) => boolean) => choose(nextPlace(bars.length, chosen, step, (at) => holds(bars[at] as Bar)));
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).closest("input, textarea, select, dialog")) return;
    const bar = bars[chosen];
    const isOnPath = (each: Bar) => Boolean(path?.get(each.index)?.segments.length);
    switch (event.key) {
      case "ArrowDown": case "j": choose(shown[Math.min(chosenRow + 1, shown.length - 1)] ?? -1); break;
      case "ArrowUp": case "k": choose(shown[Math.max(chosenRow - 1, 0)] ?? -1); break;
      case "ArrowRight": case "l": if (bar && collapsed.has(chosen)) toggle(chosen); else if (bar?.children) choose(chosen + 1); break;
      case "ArrowLeft": case "h": if (bar?.children && !collapsed.has(chosen)) toggle(chosen); else if (bar && bar.parent >= 0) choose(bar.parent); break;
      case "Home": choose(shown[0] ?? -1); break;
      case "End": choose(shown[shown.length - 1] ?? -1); break;
      case "Enter": if ((event.target as Element).closest("button, a")) return; setPanel(true); break;
      case "e": case "E": jump(event.key === "e" ? 1 : -1, (each) => each.failed); break;
      case "c": case "C": jump(event.key === "c" ? 1 : -1, isOnPath); break;
      case "n": case "N": if (search) jump(event.key === "n" ? 1 : -1, (each) => matches(each, search)); break;
      case "f": setFocus((before) => (before >= 0 || !bar ? -1 : chosen)); break;
      case "z": if (bar) setZoom({ from: bar.offset, to: bar.offset + Math.max(bar.duration, 1) }); break;
      case "Z": setZoom(null); break;
      case "r": setCollapsed((before) => collapseRepeats(bars, end, before)); break;
      case "/": searchBox.current?.focus(); break;
      case "Escape": if (panel) setPanel(false); else setFocus(-1); break;
      case "?": setHelp(true); break;
      default: return;
    }
    event.preventDefault();
  };
  // Before the rows are seen, so that no key is lost.
  useLayoutEffect(() => {
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  });

  return (
    <div class="stack">
      <div class="row spread">
        <div class="row">
          <label class="row">
            Find
            <input ref={searchBox} type="search" value={search} placeholder="name, service or span id"
              onInput={(event) => setParameters({ find: event.currentTarget.value }, true)}
              onKeyDown={(event) => {
                if (event.key === "Enter") { jump(event.shiftKey ? -1 : 1, (each) => matches(each, search)); event.preventDefault(); }
                if (event.key === "Escape") event.currentTarget.blur();
              }} />
          </label>
          {search && <span class="soft" role="status">{showCount(hits)} {hits === 1 ? "span" : "spans"}</span>}
          <button type="button" class="button" disabled={!header.errorCount} onClick={() => jump(1, (each) => each.failed)}>Next error</button>
          <button type="button" class="button" aria-pressed={showPath} onClick={() => setParameters({ path: showPath ? "off" : null }, true)}>
            Critical path
          </button>
        </div>
        <div class="row">
          {focus >= 0 && <button type="button" class="button" onClick={() => setFocus(-1)}>Whole tree</button>}
          <button type="button" class="button" onClick={() => setCollapsed(new Set(bars.filter((bar) => bar.children && bar.depth > 0).map((bar) => bar.at)))}>Collapse</button>
          <button type="button" class="button" onClick={() => setCollapsed(new Set())}>Expand</button>
          <button type="button" class="button" onClick={() => setCollapsed((before) => collapseRepeats(bars, end, before))}>Collapse repeats</button>
          <button type="button" class="button" aria-label="Keys" onClick={() => setHelp(true)}>?</button>
        </div>
      </div>
      <Minimap bars={bars} path={path} total={total} zoom={zoom} onZoom={setZoom} />
      {trace.more && <p class="soft" role="status">{showCount(bars.length)} of {showCount(header.barCount)} spans are here …</p>}
      <div class={panel && chosen >= 0 ? "waterfall with-panel" : "waterfall"}>
        <div class="waterfall-rows">
          <TimeAxis zoom={zoom} />
          <Windowed element={rows} count={shown.length} rowHeight={ROW} height="calc(100vh - 15rem)" reveal={chosenRow} role="tree"
            label="Spans of the trace, each below the one that called it"
            row={(at, key) => {
              const bar = bars[shown[at] as number] as Bar;
              return (
                <WaterfallRow key={key} bar={bar} zoom={zoom} path={path?.get(bar.index)} chosen={bar.at === chosen}
                  collapsed={collapsed.has(bar.at)} hit={Boolean(search) && matches(bar, search)} indent={focus < 0 ? 0 : (bars[focus]?.depth ?? 0)}
                  onToggle={toggle} onChoose={(place) => { choose(place); setPanel(true); }} />
              );
            }} />
        </div>
        {panel && chosen >= 0 && <SpanPanel traceId={traceId} bar={bars[chosen] as Bar} path={path?.get((bars[chosen] as Bar).index)} onClose={() => setPanel(false)} />}
      </div>
      {help && (
        <Dialog title="Keys" onClose={() => setHelp(false)}>
          <table class="data">
            <tbody>{KEYS.map(([keys, what]) => <tr key={keys}><th scope="row">{keys}</th><td>{what}</td></tr>)}</tbody>
          </table>
        </Dialog>
      )}
    </div>
  );
}

/** The critical path, asked for once all spans are here: it is as large as they are, and would hold them up. */
function usePath(traceId: string, header: LoadedTrace["header"], wanted: boolean): Map<number, OnPath> | undefined {
  const query = { adjust: parameter("adjust").split(",").filter(Boolean) };
  const { data } = useAnswer<Schemas["CriticalPath"]>(wanted ? `/api/v1/traces/${traceId}/critical-path` : null, { query, workspace: currentWorkspace() });
  return useMemo(() => (data ? readPath(data, BigInt(header.startTimeUnixNano)) : undefined), [data]);
}

function readZoom(text: string, total: number): Zoom {
  const found = /^(-?\d+)-(\d+)$/.exec(text);
  const from = Number(found?.[1] ?? 0);
  const to = Number(found?.[2] ?? total);
  return to > from ? { from, to } : { from: 0, to: total };
}

/** Collapse all but the first of siblings that follow each other with the same service and name. */
function collapseRepeats(bars: readonly Bar[], end: Int32Array, before: ReadonlySet<number>): ReadonlySet<number> {
  const after = new Set(before);
  for (const bar of bars) {
    const next = bars[end[bar.at] as number];
    if (next && next.parent === bar.parent && next.name === bar.name && next.service === bar.service && next.children) after.add(next.at);
  }
  return after.size === before.size ? new Set() : after;
}

const TICKS = 4;

function TimeAxis({ zoom }: { zoom: Zoom }) {
  return (
    <div class="waterfall-row axis" aria-hidden="true">
      <div class="cell-name soft">Service and operation</div>
      <div class="cell-time">
        {Array.from({ length: TICKS + 1 }, (_, at) => (
          <span key={at} class="tick" style={{ left: `${(at / TICKS) * 100}%` }} data-last={at === TICKS ? "" : undefined}>
            {showDuration(zoom.from + ((zoom.to - zoom.from) * at) / TICKS)}
          </span>
        ))}
      </div>
    </div>
  );
}
