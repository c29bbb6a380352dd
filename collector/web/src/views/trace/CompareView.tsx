// Two traces side by side, by structure: what only one has, what there is more or less of, and where the time went.
import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { colorAmong, colorsTogether } from "../../ui/colors";
import { showCount, showDuration, showName } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import { Windowed } from "../../ui/Windowed";
import "./trace.css";

type Comparison = Schemas["TraceComparison"];
const ROW = 26;
const WORDS: Record<string, string> = { same: "", more: "more", fewer: "fewer", "only-left": "only left", "only-right": "only right" };

export default function CompareView() {
  const left = parameter("left");
  const right = parameter("right");
  const answer = useAnswer<Comparison>(left && right ? "/api/v1/traces/compare" : null, { query: { left, right }, workspace: currentWorkspace() });
  const { data } = answer;
  return (
    <div class="stack">
      <h1>Compare two traces</h1>
      <form class="row" onSubmit={(event) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget);
        setParameters({ left: String(form.get("left") ?? "").trim(), right: String(form.get("right") ?? "").trim() });
      }}>
        <label class="row">Left <input name="left" size={34} required defaultValue={left} /></label>
        <label class="row">Right <input name="right" size={34} required defaultValue={right} /></label>
        <button type="submit" class="button primary">Compare</button>
      </form>
      {left && right && <AnswerNote of={answer} what="both traces" />}
      {!right && <p class="soft">Choose the second trace in a search (“Compare with”), or paste its id.</p>}
      {data && <Compared data={data} />}
    </div>
  );
}

function Compared({ data }: { data: Comparison }) {
  const changed = parameter("only") === "changed";
  const nodes = useMemo(() => (changed ? data.nodes.filter((node) => node.state !== "same") : data.nodes), [data, changed]);
  const colors = useMemo(() => colorsTogether(data.nodes.map((node) => node.service)), [data]);
  return (
    <>
      <div class="row">
        {(["left", "right"] as const).map((side) => (
          <a key={side} class="button" href={linkTo(`/trace/${data[side].traceId}`)}>
            {side === "left" ? "Left" : "Right"}: {showDuration(data[side].durationNanos)}, {showCount(data[side].spanCount)} spans
          </a>
        ))}
        <label class="row"><input type="checkbox" checked={changed} onChange={(event) => setParameters({ only: event.currentTarget.checked ? "changed" : null }, true)} /> Only what differs</label>
      </div>
      <div class="compare-row head soft" aria-hidden="true"><span>Service and operation</span><span>State</span><span class="number">Left</span><span class="number">Right</span><span class="number">Difference</span></div>
      <Windowed count={nodes.length} rowHeight={ROW} height="70vh" label="Spans of both traces" row={(at, key) => {
        const node = nodes[at] as Comparison["nodes"][number];
        const difference = Number(node.differenceNanos);
        return (
          <div key={key} role="listitem" class="compare-row" style={{ height: `${ROW}px` }}>
            <span class="ellipsis" style={{ paddingLeft: `calc(${Math.min(node.depth, 24)} * var(--indent))` }}>
              <span class="dot" style={{ background: colorAmong(colors, node.service) }} /> <b>{showName(node.service)}</b> <bdi>{showName(node.name)}</bdi>
            </span>
            <span>{WORDS[node.state] && <span class="badge warn">{WORDS[node.state]}</span>}</span>
            <span class="number">{node.left.spanCount ? `${showCount(node.left.spanCount)} × ${showDuration(node.left.totalNanos)}` : "–"}</span>
            <span class="number">{node.right.spanCount ? `${showCount(node.right.spanCount)} × ${showDuration(node.right.totalNanos)}` : "–"}</span>
            <span class="number">{difference > 0 ? "+" : ""}{showDuration(difference)}</span>
          </div>
        );
      }} />
    </>
  );
}
