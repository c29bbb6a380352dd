// Services and operations that nobody had seen before: what a deployment has brought.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { currentWorkspace } from "../../app/workspace";
import { showAge } from "../../time/moment";
import { rangeQuery, showMinute, showTime } from "../../time/range";
import { serviceColor } from "../../ui/colors";
import { showCount, showName } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import type { AnalysisProps } from "./AnalyzeView";
import { searchOf } from "./searches";

type Found = Schemas["NewNames"];
type New = Found["services"][number] | Found["operations"][number];

const LOOKBACKS = { "1h": "an hour", "24h": "a day", "168h": "a week", "720h": "30 days" };

export function NewNames({ conditions, range }: AnalysisProps) {
  const wanted = parameter("lookback", "168h");
  const lookback = wanted in LOOKBACKS ? wanted : "168h";
  const query = { ...conditions, ...rangeQuery(range), lookback };
  const answer = useAnswer<Found>("/api/v1/analysis/new", { query, workspace: currentWorkspace() });
  const { data, loading } = answer;
  return (
    <>
      <label class="row">
        Not seen in
        <select value={lookback} onChange={(event) => setParameters({ lookback: event.currentTarget.value === "168h" ? null : event.currentTarget.value })}>
          {Object.entries(LOOKBACKS).map(([value, words]) => <option key={value} value={value}>{words}</option>)}
        </select>
        before the time range
      </label>
      <AnswerNote of={answer} what="what is new" />
      {data && (
        <div class={loading ? "stack loading" : "stack"}>
          <p class="soft">Seen from {showMinute(BigInt(data.startUnixNano))} on, and never between {showMinute(BigInt(data.beforeUnixNano))} and then, as far as spans are kept.</p>
          <Names title="Services" names={data.services} count={data.serviceCount} whole={data.search} />
          <Names title="Operations" names={data.operations} count={data.operationCount} whole={data.search} />
        </div>
      )}
    </>
  );
}

const SHOWN = 20;

function Names({ title, names, count, whole }: { title: string; names: readonly New[]; count: number; whole: Found["search"] }) {
  const shown = parameter("names") === "all" ? names : names.slice(0, SHOWN);
  return (
    <section class="card stack" aria-label={`New ${title.toLowerCase()}`}>
      <h2>{title} <span class="soft">{showCount(count)}</span></h2>
      {names.length === 0 && <p class="soft">None is new.</p>}
      {names.length > 0 && (
        <div class="scroll-x">
          <table class="data" aria-label={`New ${title.toLowerCase()}`}>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">First seen</th>
                <th scope="col" class="number">Spans</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((name) => {
                const words = "operation" in name ? name.operation : name.service;
                const first = BigInt(name.firstUnixNano);
                return (
                  <tr key={`${name.service} ${words}`}>
                    <th scope="row" class="wrapped">
                      <span class="dot" style={{ background: serviceColor(name.service) }} />{" "}
                      {name.search ? <a href={linkTo("/search", searchOf(whole, name.search))}>{showName(words)}</a> : showName(words)}
                      {"operation" in name && <div class="small">{showName(name.service)}</div>}
                    </th>
                    <td class="when">
                      <a href={linkTo(`/trace/${name.firstTraceId}`, { span: name.firstSpanId })} title={showTime(first)} aria-label={`First trace with ${words}`}>{showAge(first)}</a>
                    </td>
                    <td class="number">{showCount(name.count)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {names.length > shown.length && <p><button type="button" class="button" onClick={() => setParameters({ names: "all" }, true)}>More</button></p>}
      {shown.length > SHOWN && count > shown.length && <p class="soft">The first {shown.length} of {showCount(count)}.</p>}
    </section>
  );
}
