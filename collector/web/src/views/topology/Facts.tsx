// The numbers of the part that is looked at, and what leads on from it.
import { addressWith, linkTo, setParameters } from "../../app/location";
import { Change } from "../../ui/Figure";
import { showDuration, showName, showRate, showShare } from "../../ui/format";
import { badness, type Calls, type Edge, type Graph, type Node } from "./model";

interface Props {
  graph: Graph;
  id: string;
  /** Whether it was clicked on, so that its links can be reached. */
  isKept: boolean;
  isCompared: boolean;
}

export function Facts({ graph, id, isKept, isCompared }: Props) {
  const node = graph.nodes.find((each) => each.id === id);
  const edge = graph.edges.find((each) => each.id === id);
  return (
    <aside class="card topology-facts" aria-label="Chosen part">
      {!node && !edge && <Key graph={graph} />}
      {node && <NodeFacts node={node} isCompared={isCompared} />}
      {edge && <EdgeFacts edge={edge} isCompared={isCompared} />}
      {(node || edge) && (isKept
        ? <button type="button" class="button" onClick={() => setParameters({ part: null }, true)}>Close</button>
        : <p class="small">Click on it to keep this.</p>)}
    </aside>
  );
}

/** The picture may be larger than what is seen of it, so that nobody would find them there. */
const NAMED = 8;

function Key({ graph }: { graph: Graph }) {
  const failing = graph.nodes.filter(({ now }) => badness(now) === "error").sort((one, other) => (other.now?.errorRate ?? 0) - (one.now?.errorRate ?? 0));
  return (
    <>
      <h2>{graph.nodes.filter((node) => node.kind === "service").length} services, {graph.edges.length} calls</h2>
      <ul class="topology-key">
        <li><span class="key-line good" /> all succeed</li>
        <li><span class="key-line warn" /> some fail</li>
        <li><span class="key-line error" /> 5 % and more fail</li>
        <li><span class="key-box" /> has no spans of its own</li>
      </ul>
      <p class="soft">Wider lines are called more often. Point at a part for its numbers; click on it for its traces.</p>
      {failing.length > 0 && (
        <>
          <h3>Fail most</h3>
          <ul class="topology-key">
            {failing.slice(0, NAMED).map(({ id, name, now }) => (
              <li key={id}><a href={addressWith({ part: id })}>{showName(name)}</a> <span class="error-text">{showShare(now?.errorRate ?? 0)}</span></li>
            ))}
          </ul>
          {failing.length > NAMED && <p class="small">and {failing.length - NAMED} others; the table below has all</p>}
        </>
      )}
    </>
  );
}

function NodeFacts({ node, isCompared }: { node: Node; isCompared: boolean }) {
  const isService = node.kind === "service";
  return (
    <>
      <h2>{showName(node.name)} {!isService && <span class="badge plain">{node.kind}</span>}</h2>
      <p class="soft">Calls to it</p>
      <Numbers now={node.now} before={node.before} isCompared={isCompared} />
      {isService && (
        <p class="row">
          {node.name && <a class="button" href={linkTo(`/services/${encodeURIComponent(node.name)}`)}>Service</a>}
          <a class="button" href={linkTo("/search", { service: node.name })}>Traces</a>
          <a class="button" href={linkTo("/search", { service: node.name, status: "error" })}>Failed</a>
          <button type="button" class="button" onClick={() => setParameters({ service: node.name, part: null, zoom: null })}>Around it</button>
        </p>
      )}
    </>
  );
}

function EdgeFacts({ edge, isCompared }: { edge: Edge; isCompared: boolean }) {
  return (
    <>
      <h2>{edge.client} → {edge.server}</h2>
      {edge.connection && <p class="soft">{edge.connection.replaceAll("_", " ")}</p>}
      <Numbers now={edge.now} before={edge.before} isCompared={isCompared} />
      <p class="row">
        <a class="button" href={tracesOf(edge)}>Traces</a>
        <a class="button" href={tracesOf(edge, " and status = error")}>Failed</a>
      </p>
    </>
  );
}

/** Traces in which both sides have spans; of the client alone, where the server has none, and the other way round. */
export function tracesOf(edge: Edge, also = ""): string {
  const sides = [edge.from, edge.to].filter((id) => id.startsWith("service:")).map((id) => JSON.stringify(id.slice("service:".length)));
  const words = sides.map((name, at) => `{service = ${name}${at === sides.length - 1 ? also : ""}}`);
  return linkTo("/search", { q: words.join(" and ") });
}

function Numbers({ now, before, isCompared }: { now: Calls | null; before: Calls | null; isCompared: boolean }) {
  const rows = [
    ["Rate", (calls: Calls) => calls.perSecond, showRate, "neither"],
    ["Failed", (calls: Calls) => calls.errorRate, showShare, "worse"],
    ["Half within", (calls: Calls) => calls.p50, showDuration, "worse"],
    ["95 % within", (calls: Calls) => calls.p95, showDuration, "worse"],
  ] as const;
  const show = (calls: Calls | null, value: (calls: Calls) => number | null, format: (value: number) => string): string => {
    const found = calls && value(calls);
    return found === null ? "–" : format(found);
  };
  return (
    <table class="topology-numbers">
      {isCompared && (
        <thead>
          <tr><td /><th scope="col">now</th><th scope="col">before</th><td /></tr>
        </thead>
      )}
      <tbody>
        {rows.map(([name, value, format, more]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="number">{show(now, value, format)}</td>
            {isCompared && <td class="number soft">{show(before, value, format)}</td>}
            {isCompared && <td class="number figure-before"><Change now={(now && value(now)) ?? undefined} before={(before && value(before)) ?? undefined} more={more} /></td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
