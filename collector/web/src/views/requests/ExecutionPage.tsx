// One request that was sent: whether it was as expected, how long each part took, the answer, and its trace.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { showSecond } from "../../time/range";
import { showCount, showDuration } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";
import { Outcome } from "./Executions";

type Execution = Schemas["RequestExecution"];

const AGAIN_MS = 3000;
const PARTS = [["dns", "Looking up the name"], ["connect", "Connecting"], ["tls", "TLS"], ["firstByte", "Until the first byte"], ["total", "All of it"]] as const;

export function ExecutionPage({ id }: { id: string }) {
  const answer = useAnswer<Execution>(inWorkspace(`request-executions/${encodeURIComponent(id)}`), {}, AGAIN_MS);
  const { data: execution } = answer;
  if (!execution) return <AnswerNote of={answer} what="the execution" />;
  return (
    <section class="stack">
      <AnswerNote of={answer} what="the execution" />
      <div class="row">
        <a class="button" href={linkTo("/requests", { tab: "executions" })}>← All</a>
        <h2 class="title">{execution.name}</h2>
        <span role="status"><Outcome execution={execution} /></span>
      </div>
      {execution.detail && <div class={execution.succeeded ? "note" : "note error"}><span class="said">{execution.detail}</span></div>}
      <div class="card">
        <dl class="facts">
          <dt>Sent</dt><dd>{showSecond(BigInt(execution.executedAtUnixNano))} by {execution.executedBy}</dd>
          <dt>To</dt><dd>{execution.urls.join(" → ")} {execution.address && <span class="soft">({execution.address})</span>}</dd>
          <dt>Trace</dt>
          <dd>{execution.traceArrived ? <a href={linkTo(`/trace/${execution.traceId}`)}>{execution.traceId}</a> : <><span class="mono">{execution.traceId}</span> <span class="soft">no span of it has arrived</span></>}</dd>
          {execution.injected && <><dt>On purpose</dt><dd>{execution.injected.type}, by the rule {execution.injected.rule}</dd></>}
        </dl>
      </div>
      <Timings timings={execution.timings} />
      <details open={!execution.succeeded}>
        <summary>The answer ({showCount(execution.receivedBytes)} bytes)</summary>
        <dl class="facts">{execution.headers.map(({ name, value }, at) => [<dt key={`${at} name`}>{name}</dt>, <dd key={at}>{value}</dd>])}</dl>
        {execution.body && <pre class="said">{execution.body}</pre>}
      </details>
    </section>
  );
}

function Timings({ timings }: { timings: Execution["timings"] }) {
  const total = Number(timings.total) || 1;
  return (
    <table class="data">
      <caption class="visually-hidden">How long each part took</caption>
      <tbody>
        {PARTS.map(([part, words]) => {
          const took = timings[part];
          return took === null ? null : (
            <tr key={part}>
              <th scope="row">{words}</th>
              <td class="number">{showDuration(took)}</td>
              <td style={{ width: "50%" }}><meter min={0} max={1} value={Math.min(Number(took) / total, 1)} aria-label={`${words}, as a share of all`} style={{ width: "100%" }} /></td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
