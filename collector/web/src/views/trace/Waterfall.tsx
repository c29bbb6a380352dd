// The waterfall: a row for each span, as far as it can be seen; a map of the whole trace above; keys for everything.
import { useCallback, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { parameter, setParameters } from "../../app/location";
import { Dialog } from "../../ui/Dialog";
import { showCount, showDuration } from "../../ui/format";
import { Windowed } from "../../ui/Windowed";
import { useCriticalPath, type LoadedTrace } from "./loading";
import { Minimap } from "./Minimap";
import { ancestors, barAt, matcher, nextPlace, placesOf, repeats, visible, type Bars } from "./model";
import { placeNamed } from "./named";
import { isOnPath, onPath } from "./path";
import { hint, ROW, WaterfallRow } from "./WaterfallRow";
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

export function Waterfall({ traceId, trace, loading }: { traceId: string; trace: LoadedTrace; loading: boolean }) {
  const { bars, header } = trace;
  const total = Math.max(Number(header.durationNanos), 1);
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set());
  const [focus, setFocus] = useState(-1);
  const [panel, setPanel] = useState(parameter("span") !== "");
  const [help, setHelp] = useState(false);
  const search = parameter("find");
  const showPath = parameter("path", "on") === "on";
  const zoom = readZoom(parameter("zoom"), total);
  const rows = useRef<HTMLDivElement>(null);
  const searchBox = useRef<HTMLInputElement>(null);
  const shown = useMemo(() => visible(bars, collapsed, focus), [bars, collapsed, focus]);
  const path = useCriticalPath(traceId, trace, showPath && !loading);
  const named = parameter("span");
  const chosen = useMemo(() => placeNamed(bars, named), [bars, named]);
  const chosenRow = chosen < 0 ? -1 : shown.indexOf(chosen);
  const chosenBar = chosen < 0 ? undefined : barAt(bars, chosen);
  const isHit = useMemo(() => (search ? matcher(bars, search) : () => false), [bars, search]);
  const hits = useMemo(() => placesOf(bars, isHit).length, [bars, isHit]);
  const pathOf = (index: number) => path && onPath(path, index);

  const choose = useCallback((at: number) => {
    const index = bars.index[at];
    if (index === undefined) return;
    const above = ancestors(bars, at);
    setCollapsed((before) => (above.some((each) => before.has(each)) ? new Set([...before].filter((each) => !above.includes(each))) : before));
    setFocus((before) => (before >= 0 && before !== at && !above.includes(before) ? -1 : before));
    setParameters({ span: String(index) }, true);
  }, [bars]);
  const toggle = useCallback((at: number) => {
    setCollapsed((before) => {
      const after = new Set(before);
      if (!after.delete(at)) after.add(at);
      return after;
    });
  }, []);
  const onRow = (event: MouseEvent) => {
    const place = placeAt(event.target as Element);
    if (place < 0) return;
    if (bars.children[place] && (event.target as Element).closest(".twisty")) {
      toggle(place);
    } else {
      choose(place);
      setPanel(true);
    }
  };
  // Only when it may be read: nobody does while rows pass by.
  const giveHint = ({ target }: MouseEvent) => {
    const place = placeAt(target as Element);
    const row = (target as Element).closest<HTMLElement>("[data-at]");
    if (place >= 0 && row) row.title = hint(barAt(bars, place), pathOf(bars.index[place] as number));
  };
  const setZoom = (wanted: Zoom | null) => setParameters({ zoom: wanted ? `${Math.round(wanted.from)}-${Math.round(wanted.to)}` : null }, true);

  const jump = (step: 1 | -1, holds: (at: number) => boolean) => choose(nextPlace(bars.count, chosen, step, holds));
  const hasFailed = (at: number) => bars.failed[at] === 1;
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || (event.target as Element).closest("input, textarea, select, dialog")) return;
    const bar = chosenBar;
    switch (event.key) {
      case "ArrowDown": case "j": choose(shown[Math.min(chosenRow + 1, shown.length - 1)] ?? -1); break;
      case "ArrowUp": case "k": choose(shown[Math.max(chosenRow - 1, 0)] ?? -1); break;
      case "ArrowRight": case "l": if (bar && collapsed.has(chosen)) toggle(chosen); else if (bar?.children) choose(chosen + 1); break;
      case "ArrowLeft": case "h": if (bar?.children && !collapsed.has(chosen)) toggle(chosen); else if (bar && bar.parent >= 0) choose(bar.parent); break;
      case "Home": choose(shown[0] ?? -1); break;
      case "End": choose(shown[shown.length - 1] ?? -1); break;
      case "Enter": if ((event.target as Element).closest("button, a")) return; setPanel(true); break;
      case "e": case "E": jump(event.key === "e" ? 1 : -1, hasFailed); break;
      case "c": case "C": if (path) jump(event.key === "c" ? 1 : -1, (at) => isOnPath(path, bars.index[at] as number)); break;
      case "n": case "N": jump(event.key === "n" ? 1 : -1, isHit); break;
      case "f": setFocus((before) => (before >= 0 || !bar ? -1 : chosen)); break;
      case "z": if (bar) setZoom({ from: bar.offset, to: bar.offset + Math.max(bar.duration, 1) }); break;
      case "Z": setZoom(null); break;
      case "r": setCollapsed((before) => collapseRepeats(bars, before)); break;
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
                if (event.key === "Enter") { jump(event.shiftKey ? -1 : 1, isHit); event.preventDefault(); }
                if (event.key === "Escape") event.currentTarget.blur();
              }} />
          </label>
          {search && <span class="soft" role="status">{showCount(hits)} {hits === 1 ? "span" : "spans"}</span>}
          <button type="button" class="button" disabled={!header.errorCount} onClick={() => jump(1, hasFailed)}>Next error</button>
          <button type="button" class="button" aria-pressed={showPath} onClick={() => setParameters({ path: showPath ? "off" : null }, true)}>
            Critical path
          </button>
        </div>
        <div class="row">
          {focus >= 0 && <button type="button" class="button" onClick={() => setFocus(-1)}>Whole tree</button>}
          <button type="button" class="button" onClick={() => setCollapsed(new Set(placesOf(bars, (at) => bars.children[at] !== 0 && bars.depth[at] !== 0)))}>Collapse</button>
          <button type="button" class="button" onClick={() => setCollapsed(new Set())}>Expand</button>
          <button type="button" class="button" onClick={() => setCollapsed((before) => collapseRepeats(bars, before))}>Collapse repeats</button>
          <button type="button" class="button" aria-label="Keys" onClick={() => setHelp(true)}>?</button>
        </div>
      </div>
      <Minimap bars={bars} path={path} total={total} zoom={zoom} onZoom={setZoom} />
      <div class={panel && chosenBar ? "waterfall with-panel" : "waterfall"}>
        <div class="waterfall-rows" onClick={onRow} onMouseOver={giveHint}>
          <TimeAxis zoom={zoom} />
          <Windowed element={rows} count={shown.length} rowHeight={ROW} height="calc(100vh - 15rem)" reveal={chosenRow} role="tree"
            label="Spans of the trace, each below the one that called it"
            row={(at, key) => {
              const place = shown[at] as number;
              const bar = barAt(bars, place);
              return (
                <WaterfallRow key={key} bar={bar} zoom={zoom} path={pathOf(bar.index)} chosen={place === chosen}
                  collapsed={collapsed.has(place)} hit={isHit(place)} indent={focus < 0 ? 0 : (bars.depth[focus] as number)} />
              );
            }} />
        </div>
        {panel && chosenBar && <SpanPanel traceId={traceId} bar={chosenBar} path={pathOf(chosenBar.index)} onClose={() => setPanel(false)} />}
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

/** The place of the bar in whose row an element is; -1 for none. */
function placeAt(element: Element): number {
  return Number(element.closest<HTMLElement>("[data-at]")?.dataset["at"] ?? -1);
}

function readZoom(text: string, total: number): Zoom {
  const found = /^(-?\d+)-(\d+)$/.exec(text);
  const from = Number(found?.[1] ?? 0);
  const to = Number(found?.[2] ?? total);
  return to > from ? { from, to } : { from: 0, to: total };
}

/** Collapse all but the first of siblings that repeat; open them where that is so already. */
function collapseRepeats(bars: Bars, before: ReadonlySet<number>): ReadonlySet<number> {
  const after = new Set([...before, ...repeats(bars)]);
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
