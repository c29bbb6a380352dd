// Who calls a service, and whom it calls.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { inWorkspace } from "../../app/workspace";
import { rangeQuery, type TimeRange } from "../../time/range";
import { showDuration, showRate, showShare } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import { ServiceLink } from "./ServiceLink";

type Edge = Schemas["TopologyEdge"];

export function Dependencies({ service, range }: { service: string; range: TimeRange }) {
  const query = { ...rangeQuery(range), service, depth: 1 };
  const answer = useAnswer<Schemas["Topology"]>(inWorkspace("topology"), { query });
  const { data } = answer;
  const isThis = (node: Edge["client"]): boolean => node.kind === "service" && node.name === service;
  return (
    <section class="card stack" aria-label="Dependencies">
      <h2>Dependencies</h2>
      <AnswerNote of={answer} what="dependencies" />
      {data && data.edges.length === 0 && <p class="soft">No calls to or from this service are known.</p>}
      {data && data.edges.length > 0 && (
        <>
          <Calls title="Called by" end="client" edges={data.edges.filter((edge) => isThis(edge.server))} />
          <Calls title="Calls" end="server" edges={data.edges.filter((edge) => isThis(edge.client))} />
        </>
      )}
    </section>
  );
}

function Calls({ title, end, edges }: { title: string; end: "client" | "server"; edges: readonly Edge[] }) {
  if (!edges.length) return null;
  return (
    <div class="scroll-x">
      <table class="data calls">
        <thead>
          <tr>
            <th scope="col">{title}</th>
            <th scope="col" class="number">Calls</th>
            <th scope="col" class="number">Failed</th>
            <th scope="col" class="number">95 % within</th>
          </tr>
        </thead>
        <tbody>
          {edges.map((edge) => {
            const { name, kind } = edge[end];
            const durations = edge.serverDurations ?? edge.clientDurations;
            return (
              <tr key={`${kind} ${name} ${edge.connectionType}`}>
                <th scope="row" class="wrapped">
                  {kind === "service"
                    ? <ServiceLink name={name} />
                    : <>{name} <span class="badge plain">{kind}</span></>}
                </th>
                <td class="number">{showRate(edge.callsPerSecond)}</td>
                <td class={`number ${Number(edge.failedCalls) ? "error-text" : ""}`}>{showShare(edge.errorRate)}</td>
                <td class="number">{durations ? showDuration(Number(durations.p95Nanos)) : "–"}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
