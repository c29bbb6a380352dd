// All runs, the latest first.
import type { Schemas } from "../../api/client";
import { linkTo } from "../../app/location";
import { useList } from "../../objects/useList";
import { showSecond } from "../../time/range";
import { showDuration } from "../../ui/format";
import { Listing } from "../../ui/Listing";
import { Empty } from "../../ui/notes";

type Run = Schemas["LoadTestRun"];

const AGAIN_MS = 5000;
const BADGES: Record<Run["state"], string> = { running: "warn", completed: "good", stopped: "error", cancelled: "plain", interrupted: "error", failed: "error" };

export function State({ run }: { run: Pick<Run, "state" | "reason"> }) {
  return <><span class={`badge ${BADGES[run.state]}`}>{run.state}</span> {run.reason}</>;
}

export function Runs() {
  const listed = useList<Run>("load-test-runs", "runs", { limit: 50 }, AGAIN_MS);
  return (
    <Listing what="Runs" of={listed} heads={["Test", "Started", "Took", "State", "By"]}
      empty={<Empty title="Nothing has run yet"><p>Run a <a href={linkTo("/load-tests")}>load test</a>; what came of it is kept here.</p></Empty>}>
      {listed.data?.map((run) => (
        <tr key={run.id}>
          <td><a href={linkTo("/load-tests", { tab: "runs", run: run.id })}>{run.name}</a></td>
          <td class="when">{showSecond(BigInt(run.startedAtUnixNano))}</td>
          <td class="when">{run.endedAtUnixNano && showDuration(BigInt(run.endedAtUnixNano) - BigInt(run.startedAtUnixNano))}</td>
          <td><State run={run} /></td>
          <td>{run.startedBy}</td>
        </tr>
      ))}
    </Listing>
  );
}
