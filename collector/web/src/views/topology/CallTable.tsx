// The same as the picture, in rows.
import { parameter, setParameters } from "../../app/location";
import { Change } from "../../ui/Figure";
import { showDuration, showRate, showShare } from "../../ui/format";
import { ServiceLink } from "../services/ServiceLink";
import { tracesOf } from "./Facts";
import type { Edge, Graph } from "./model";

export function CallTable({ graph, isCompared }: { graph: Graph; isCompared: boolean }) {
  const edges = [...graph.edges].sort((a, b) => (b.now?.perSecond ?? -1) - (a.now?.perSecond ?? -1));
  const open = parameter("table") === "open";
  return (
    <details open={open} onToggle={(event) => event.currentTarget.open !== open && setParameters({ table: event.currentTarget.open ? "open" : null }, true)}>
      <summary>All calls as a table</summary>
      {open && (
        <div class="scroll-x">
          <table class="data" aria-label="Calls">
            <thead>
              <tr>
                <th scope="col">Caller</th>
                <th scope="col">Called</th>
                {["Rate", "Failed", "Half within", "95 % within"].map((name) => <th key={name} scope="col" class="number">{name}</th>)}
                {isCompared && <th scope="col">Since then</th>}
                <th scope="col"><span class="visually-hidden">Traces</span></th>
              </tr>
            </thead>
            <tbody>
              {edges.map((edge) => <CallRow key={edge.id} edge={edge} isCompared={isCompared} />)}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}

function CallRow({ edge, isCompared }: { edge: Edge; isCompared: boolean }) {
  const { now, before } = edge;
  return (
    <tr>
      <td><End id={edge.from} name={edge.client} /></td>
      <td><End id={edge.to} name={edge.server} /></td>
      <td class="number">{now ? showRate(now.perSecond) : "–"}</td>
      <td class={`number ${now?.errorRate ? "error-text" : ""}`}>{now ? showShare(now.errorRate) : "–"}</td>
      <td class="number">{now?.p50 == null ? "–" : showDuration(now.p50)}</td>
      <td class="number">{now?.p95 == null ? "–" : showDuration(now.p95)}</td>
      {isCompared && (
        <td class="figure-before">
          {edge.state === "added" ? "new" : edge.state === "removed" ? "gone" : <>rate <Change now={now?.perSecond} before={before?.perSecond} more="neither" /> 95 % <Change now={now?.p95 ?? undefined} before={before?.p95 ?? undefined} more="worse" /></>}
        </td>
      )}
      <td><a href={tracesOf(edge)} aria-label={`Traces of ${edge.client} calling ${edge.server}`}>Traces</a></td>
    </tr>
  );
}

function End({ id, name }: { id: string; name: string }) {
  return id.startsWith("service:") ? <ServiceLink name={name} /> : <>{name} <span class="badge plain">{id.split(":")[0]}</span></>;
}
