// The operations of a service: which are slow, which fail, which take the most time together.
import { useMemo } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo, parameter, setParameters } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { rangeQuery, type TimeRange } from "../../time/range";
import { showCount, showDuration, showName, showRate, showShare } from "../../ui/format";
import { AnswerNote, Incomplete } from "../../ui/notes";
import { SortHead } from "../../ui/SortHead";

type Operation = Schemas["SpanLatencies"]["latencies"][number];

const MOST = 500;
const SHOWN = 20;
const VALUES = {
  time: ({ spans }: Operation) => Number(spans.totalNanos),
  rate: ({ spans }: Operation) => Number(spans.count),
  errors: ({ spans }: Operation) => Number(spans.errorRate),
  p50: ({ spans }: Operation) => Number(spans.p50Nanos),
  p95: ({ spans }: Operation) => Number(spans.p95Nanos),
  max: ({ spans }: Operation) => Number(spans.maxNanos),
};
type SortName = keyof typeof VALUES;

export function Operations({ service, range }: { service: string; range: TimeRange }) {
  const query = { ...rangeQuery(range), by: "operation", service, limit: MOST };
  const answer = useAnswer<Schemas["SpanLatencies"]>(inWorkspace("latencies"), { query });
  const { data } = answer;
  const wanted = parameter("sort", "time");
  const sort: SortName = wanted in VALUES ? (wanted as SortName) : "time";
  const all = parameter("operations") === "all";
  const sorted = useMemo(() => [...(data?.latencies ?? [])].sort((a, b) => VALUES[sort](b) - VALUES[sort](a)), [data, sort]);
  if (!data) return <AnswerNote of={answer} what="operations" />;
  const total = sorted.reduce((sum, each) => sum + VALUES.time(each), 0);
  const head = { sort, onSort: (name: SortName) => setParameters({ sort: name === "time" ? null : name }, true) };
  return (
    <section class="stack" aria-label="Operations">
      <h2>Operations</h2>
      <AnswerNote of={answer} what="operations" />
      {data.nextCursor && <Incomplete reason={`there are more than ${MOST} operations. Names that hold ids or times should be attributes.`} />}
      <div class="scroll-x">
        <table class="data" aria-label="Operations">
          <thead>
            <tr>
              <th scope="col">Operation</th>
              <SortHead {...head} name="rate" label="Rate" />
              <SortHead {...head} name="errors" label="Failed" />
              <SortHead {...head} name="p50" label="Half within" />
              <SortHead {...head} name="p95" label="95 % within" />
              <SortHead {...head} name="max" label="Longest" />
              <SortHead {...head} name="time" label="Share of time" />
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, all ? MOST : SHOWN).map((each) => {
              const { name, spans } = each;
              const share = total ? VALUES.time(each) / total : 0;
              return (
                <tr key={name}>
                  <th scope="row" class="wrapped"><a href={linkTo("/search", { service, operation: name, sort: "duration" })}>{showName(name)}</a></th>
                  <td class="number" title={`${showCount(spans.count)} spans`}>{showRate(spans.perSecond)}</td>
                  <td class="number">
                    {Number(spans.failed) ? <a class="error-text" href={linkTo("/search", { service, operation: name, status: "error" })}>{showShare(spans.errorRate)}</a> : "0 %"}
                  </td>
                  <td class="number">{showDuration(Number(spans.p50Nanos))}</td>
                  <td class="number">{showDuration(Number(spans.p95Nanos))}</td>
                  <td class="number">{showDuration(spans.maxNanos)}</td>
                  <td class="number"><span class="share-bar" style={{ width: `${share * 5}rem` }} /> {showShare(share)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {sorted.length > SHOWN && (
        <p>
          <button type="button" class="button" onClick={() => setParameters({ operations: all ? null : "all" }, true)}>
            {all ? "Fewer" : `All ${sorted.length}`}
          </button>
        </p>
      )}
    </section>
  );
}
