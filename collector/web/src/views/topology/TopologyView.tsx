// Who calls whom, how often, and what fails of it; now, or beside another time.
import { useMemo, useRef } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { parameter, setParameters } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { SECOND } from "../../time/moment";
import { rangeQuery, type TimeRange } from "../../time/range";
import { useRange } from "../../time/useRange";
import { download } from "../../ui/download";
import { AnswerNote, Incomplete } from "../../ui/notes";
import { NothingCounted } from "../services/NothingCounted";
import { Controls, PERIODS } from "./Controls";
import { Differences } from "./Differences";
import { graphOf, withFormer, type Graph } from "./model";
import { Picture } from "./Picture";
import { CallTable } from "./CallTable";
import "./topology.css";

const AGAIN_MS = 15_000;
/** More lines than anybody can follow. */
const MOST_EDGES = 400;
const FORMATS = [["dot", "Graphviz"], ["mermaid", "Mermaid"], ["json", "JSON"]] as const;

export default function TopologyView() {
  const range = useRange(AGAIN_MS);
  const compare = parameter("compare");
  const service = parameter("service");
  const near = { service, depth: service ? parameter("depth", "1") : "", direction: service ? parameter("direction") : "", limit: MOST_EDGES };
  const query = useMemo(() => ({ ...rangeQuery(range), ...otherRange(range, compare) }), [range, compare]);
  const path = inWorkspace(compare ? "topology/difference" : "topology");
  const answer = useAnswer<Schemas["Topology"] | Schemas["TopologyDifference"]>(path, { query: { ...query, ...near } });
  const { data } = answer;
  const graph = useSteady(data, [path, service, near.depth, near.direction, compare, parameter("from"), parameter("to")].join(" "));
  return (
    <div class="stack">
      <div class="row spread">
        <h1>Topology</h1>
        <span class="row" role="group" aria-label="Save as">
          <span class="soft">Save as</span>
          {FORMATS.map(([format, name]) => (
            <button key={format} type="button" class="button plain" onClick={() => void download(`topology.${format}`, inWorkspace("topology"), { ...rangeQuery(range), ...near, format })}>
              {name}
            </button>
          ))}
        </span>
      </div>
      <Controls services={graph?.nodes.filter((node) => node.kind === "service").map((node) => node.name) ?? []} />
      <AnswerNote of={answer} what="the topology" />
      {data && !data.complete && <Incomplete reason={`only the ${MOST_EDGES} edges with the most calls are shown. Choose a service to look around it.`} />}
      {graph && graph.nodes.length === 0 && (service
        ? <p class="empty">Nothing is known of calls to or from {service} in this time range. <button type="button" class="button" onClick={() => setParameters({ service: null })}>Show all services</button></p>
        : <NothingCounted range={range} />)}
      {graph && graph.nodes.length > 0 && (
        <>
          {compare && <Differences graph={graph} period={PERIODS[compare] ?? "before"} />}
          <Picture graph={graph} isCompared={Boolean(compare)} />
          <CallTable graph={graph} isCompared={Boolean(compare)} />
        </>
      )}
    </div>
  );
}

const DAY = 86_400n * SECOND;

/** The range that is compared with; the API takes the one just before where none is said. */
function otherRange(range: TimeRange, compare: string): { otherStart?: string; otherEnd?: string } {
  const back = compare === "day" ? DAY : compare === "week" ? 7n * DAY : 0n;
  return back ? { otherStart: String(range.start - back), otherEnd: String(range.end - back) } : {};
}

/** The graph, with all that was in it since the question was first asked: refreshing moves nothing that is there. */
function useSteady(data: Schemas["Topology"] | Schemas["TopologyDifference"] | undefined, question: string): Graph | undefined {
  const kept = useRef<{ question: string; graph: Graph; data: unknown } | null>(null);
  return useMemo(() => {
    if (!data) return undefined;
    const graph = graphOf(data);
    const former = kept.current;
    // Until its answer is there, a new question shows the answer to the one before.
    if (former && former.question !== question && former.data === data) return former.graph;
    const steady = former?.question === question ? withFormer(graph, former.graph) : graph;
    kept.current = { question, graph: steady, data };
    return steady;
  }, [data, question]);
}
