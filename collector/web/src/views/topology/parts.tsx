// A service and a line of the graph.
import { serviceColor } from "../../ui/colors";
import { showName, showRate, showShare } from "../../ui/format";
import { arrowOf, curveOf, MOST_CHARACTERS, type Box as Place } from "./layout";
import { badness, type Calls, type Edge, type Node, type State } from "./model";

const SIGNS: Record<State, string> = { added: "+ ", removed: "− ", kept: "" };

export function Box({ node, box: { x, y, width }, height, isCompared, own }: { node: Node; box: Place; height: number; isCompared: boolean; own: boolean }) {
  const [left, top] = [x - width / 2, y - height / 2];
  const state = isCompared ? node.state : "kept";
  const name = showName(node.name);
  const short = name.length > MOST_CHARACTERS ? `${name.slice(0, MOST_CHARACTERS - 1)}…` : name;
  const isService = node.kind === "service";
  const classes = ["box", isService ? "" : "outside", state, badness(node.now)].join(" ");
  return (
    <g class={classes}>
      <title>{name}</title>
      <rect x={left} y={top} width={width} height={height} rx={isService ? 6 : height / 2} />
      {isService && <rect class="stripe" x={left + 5} y={top + 8} width={4} height={height - 16} rx={2} style={{ fill: serviceColor(node.name) }} />}
      <text x={left + 17} y={top + 17}>{SIGNS[state]}{short}{own ? " ↻" : ""}</text>
      <text class="detail" x={left + 17} y={top + 33}>{detailOf(node, isCompared)}</text>
    </g>
  );
}

function detailOf({ kind, now, before }: Node, isCompared: boolean): string {
  if (!now) return isCompared ? `was ${showRate(before?.perSecond ?? 0)}` : "silent now";
  if (!now.perSecond) return kind === "service" || kind === "user" ? "calls others" : kind;
  return `${showRate(now.perSecond)}${now.errorRate ? `  ${showShare(now.errorRate)} failed` : ""}`;
}

const [THINNEST, WIDEST] = [1.2, 6];

export function Line({ edge, points, share, isCompared }: { edge: Edge; points: readonly { x: number; y: number }[]; share: number; isCompared: boolean }) {
  const path = curveOf(points);
  const width = THINNEST + (WIDEST - THINNEST) * Math.sqrt(share);
  return (
    <g class={`line ${isCompared ? edge.state : "kept"} ${badness(edge.now)}`}>
      <path class="reach" d={path} />
      <path class="course" d={path} stroke-width={width} />
      <path class="head" d={arrowOf(points, 7 + width)} />
    </g>
  );
}

/** A part in words. */
export function told(part: Node | Edge): string {
  const name = "from" in part ? `${part.client} calls ${part.server}` : part.name;
  const state = part.state === "kept" ? "" : `, ${part.state}`;
  return `${name}${state}: ${rates(part.now)}`;
}

function rates(calls: Calls | null): string {
  return calls ? `${showRate(calls.perSecond)}, ${showShare(calls.errorRate)} failed` : "silent now";
}
