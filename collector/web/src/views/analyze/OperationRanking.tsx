// The operations that stand out: the slowest, those that take the most time together, and those that fail.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { rangeQuery } from "../../time/range";
import { serviceColor } from "../../ui/colors";
import { showCount, showDuration, showName, showShare } from "../../ui/format";
import { AnswerNote, Incomplete } from "../../ui/notes";
import type { AnalysisProps } from "./AnalyzeView";
import { searchOf } from "./searches";

type Found = Schemas["OperationRanking"];
type Group = Found["slowest"][number];

interface List {
  title: string;
  head: string;
  groups: (found: Found) => readonly Group[];
  show: (group: Group) => string;
  /** What besides the operation finds the traces that are meant. */
  search: Record<string, string>;
}

const LISTS: readonly List[] = [
  { title: "Slowest", head: "99 % within", groups: ({ slowest }) => slowest, show: ({ percentiles }) => showDuration(Number(percentiles.at(-1)?.nanos)), search: { sort: "duration" } },
  { title: "Most time", head: "Together", groups: ({ mostTime }) => mostTime, show: ({ totalNanos }) => showDuration(Number(totalNanos)), search: { sort: "duration" } },
  { title: "Most failures", head: "Failed", groups: ({ mostErrors }) => mostErrors, show: ({ errors }) => showCount(errors), search: { status: "error" } },
  { title: "Fail most often", head: "Failed", groups: ({ highestErrorRate }) => highestErrorRate, show: ({ errorRate }) => showShare(errorRate), search: { status: "error" } },
];

export function OperationRanking({ conditions, range }: AnalysisProps) {
  const query = { ...conditions, ...rangeQuery(range) };
  const answer = useAnswer<Found>("/api/v1/analysis/operations", { query, workspace: currentWorkspace() });
  const { data, loading } = answer;
  if (!data) return <AnswerNote of={answer} what="operations" />;
  if (!data.operationCount) return <p class="soft">No such span is stored in this time range.</p>;
  return (
    <div class={loading ? "stack loading" : "stack"}>
      <AnswerNote of={answer} what="operations" />
      {!data.complete && data.incompleteBecause && <Incomplete reason={data.incompleteBecause} />}
      <div class="pairs">
        {LISTS.map((list) => <Ranked key={list.title} list={list} found={data} />)}
      </div>
      <p class="soft">
        {showCount(data.operationCount)} operations{conditions["kind"] ? "" : <> of spans of every kind. <button type="button" class="link" onClick={() => setParameters({ kind: "server" })}>Requests only</button></>}
      </p>
    </div>
  );
}

function Ranked({ list: { title, head, groups, show, search }, found }: { list: List; found: Found }) {
  const ranked = groups(found);
  return (
    <section class="card" aria-label={title}>
      <h2>{title}</h2>
      {ranked.length === 0 && <p class="soft">None.</p>}
      {ranked.length > 0 && (
        <div class="scroll-x">
          <table class="data" aria-label={title}>
            <thead>
              <tr>
                <th scope="col">Operation</th>
                <th scope="col" class="number">{head}</th>
                <th scope="col" class="number">Of spans</th>
              </tr>
            </thead>
            <tbody>
              {ranked.map((group) => {
                const [service = "", operation, kind] = group.key;
                return (
                  <tr key={group.key.join("\n")}>
                    <th scope="row" class="wrapped">
                      {group.search
                        ? <a href={linkTo("/search", { ...searchOf(found.search, group.search), ...search })}>{showName(operation)}</a>
                        : showName(operation)}
                      <div class="small"><span class="dot" style={{ background: serviceColor(service) }} /> {showName(service)} · {kind}</div>
                    </th>
                    <td class="number">{show(group)}</td>
                    <td class="number">{showCount(group.count)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
