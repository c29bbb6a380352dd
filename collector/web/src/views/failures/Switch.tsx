// The one switch that matters when something is wrong: whether anything fails on purpose at all.
import { useState } from "preact/hooks";
import { ask, type Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { inWorkspace } from "../../app/workspace";
import { Confirm } from "../../ui/Dialog";
import { AnswerNote } from "../../ui/notes";
import { tell, tellError } from "../../ui/toasts";

type State = Schemas["FailureSwitch"];

const AGAIN_MS = 5000;

export function Switch() {
  const path = inWorkspace("failure-injection");
  const answer = useAnswer<State>(path, {}, AGAIN_MS);
  const [asking, setAsking] = useState(false);
  const { data, again } = answer;
  if (!data) return <AnswerNote of={answer} what="the switch" />;
  const set = (enabled: boolean): void => {
    ask<State>(path, { method: "PUT", body: { enabled } }).then(() => tell(enabled ? "Rules count again" : "Nothing fails on purpose any more"), tellError).finally(again);
  };
  return (
    <>
      <AnswerNote of={answer} what="the switch" />
      <section class={data.enabled ? "failure-switch" : "failure-switch off"} aria-label="The switch">
        <div>
          <strong role="status" class="failure-state">{data.enabled ? "Failure rules count" : "Nothing fails on purpose"}</strong>
          <div>{data.enabled ? "Requests may fail as the rules below say." : "All rules are held back until somebody lets them count again."}</div>
        </div>
        {data.enabled ? (
          // Without asking: who ends failures is in a hurry.
          <button type="button" class="button failure-stop" onClick={() => set(false)}>End all failures now</button>
        ) : (
          <button type="button" class="button" onClick={() => setAsking(true)}>Let rules count again</button>
        )}
        {asking && <Confirm title="Let failures happen again?" detail="Every rule that is enabled counts at once, for everybody in this workspace." verb="Let them happen" onClose={() => setAsking(false)} onConfirm={() => set(true)} />}
      </section>
    </>
  );
}
