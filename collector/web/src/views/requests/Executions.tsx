// What came of requests that were sent, the latest first.
import type { Schemas } from "../../api/client";
import { linkTo } from "../../app/location";
import { useList } from "../../objects/useList";
import { showSecond } from "../../time/range";
import { showDuration } from "../../ui/format";
import { Listing } from "../../ui/Listing";
import { Empty } from "../../ui/notes";

type Execution = Schemas["RequestExecutions"]["executions"][number];

export function Outcome({ execution: { succeeded, cause, status, injected } }: { execution: Pick<Execution, "succeeded" | "cause" | "status" | "injected"> }) {
  return (
    <>
      <span class={`badge ${succeeded ? "good" : "error"}`}>{succeeded ? "success" : "failure"}</span> {cause || status}
      {injected && <> <span class="badge warn">{injected.type} on purpose</span></>}
    </>
  );
}

export function Executions() {
  const listed = useList<Execution>("request-executions", "executions", { limit: 50 });
  return (
    <Listing what="Executions" of={listed} heads={["When", "Request", "Outcome", "Took", "Trace", "By"]}
      empty={<Empty title="Nothing was sent yet"><p>Send a <a href={linkTo("/requests")}>saved request</a>.</p></Empty>}>
      {listed.data?.map((each) => (
        <tr key={each.id}>
          <td class="when">{showSecond(BigInt(each.executedAtUnixNano))}</td>
          <td><a href={linkTo("/requests", { tab: "executions", execution: each.id })}>{each.name}</a></td>
          <td><Outcome execution={each} /></td>
          <td class="when">{showDuration(each.timings.total)}</td>
          <td>{each.traceArrived ? <a class="mono" href={linkTo(`/trace/${each.traceId}`)}>{each.traceId.slice(0, 8)}</a> : <span class="soft">not arrived</span>}</td>
          <td>{each.executedBy}</td>
        </tr>
      ))}
    </Listing>
  );
}
