// Alerts by their status, the active ones first of all.
import type { Schemas } from "../../api/client";
import { linkTo, parameter, setParameters } from "../../app/location";
import { useList } from "../../objects/useList";
import { showAge } from "../../time/moment";
import { AnswerNote, Empty } from "../../ui/notes";
import { Labels, Severity, showMeasured, Status } from "./badges";

type Alert = Schemas["Alert"];

const AGAIN_MS = 10_000;
/** What is listed by each choice; nothing said lists what is active or acknowledged. */
const STATUSES = [["", "Active"], ["pending", "Pending"], ["acknowledged", "Acknowledged"], ["resolved", "Resolved"]] as const;

export function ActiveAlerts() {
  const status = parameter("status");
  const listed = useList<Alert>("alerts", "alerts", { status, limit: 50 }, AGAIN_MS);
  const { data: items, more } = listed;
  return (
    <section class="stack" aria-label="Alerts">
      <div class="row" role="group" aria-label="Status">
        {STATUSES.map(([name, words]) => (
          <button key={name} type="button" class="button" aria-pressed={status === name} onClick={() => setParameters({ status: name })}>{words}</button>
        ))}
      </div>
      <AnswerNote of={listed} what="alerts" />
      {items?.length === 0 && (status ? <Empty title={`Nothing is ${status}`} /> : (
        <Empty title="Nothing is wrong">
          <p>
            No alert is active. <a href={linkTo("/alerts", { tab: "rules" })}>Rules</a> say what is watched.
          </p>
        </Empty>
      ))}
      <ul class="alert-list">
        {items?.map((alert) => <Card key={alert.id} alert={alert} />)}
      </ul>
      {more && <button type="button" class="button" onClick={more}>More</button>}
    </section>
  );
}

function Card({ alert }: { alert: Alert }) {
  const event = alert.lastEvent;
  const worst = event?.evidence[0];
  return (
    <li class={`card alert-card ${alert.severity}`}>
      <div class="row spread">
        <a class="alert-name" href={linkTo("/alerts", { alert: alert.id })}>{alert.ruleName}</a>
        <span class="row">
          <Severity severity={alert.severity} />
          <Status status={alert.status} flapping={alert.flapping} />
        </span>
      </div>
      <div><Labels labels={alert.group} /></div>
      <div class="soft">
        {event && <>{event.measure} {worst && <strong>{showMeasured(worst.value, event.unit)}</strong>} ({event.condition}) · </>}
        since {showAge(BigInt(alert.startedAtUnixNano))}{alert.by && ` · by ${alert.by}`}
      </div>
    </li>
  );
}
