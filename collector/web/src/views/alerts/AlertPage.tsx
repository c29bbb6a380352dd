// One alert: what was measured, traces that show it, what people have done, and what they can do now.
import { useState } from "preact/hooks";
import { ApiError, ask, type Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { linkTo } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { showAge } from "../../time/moment";
import { showSecond } from "../../time/range";
import { showCount } from "../../ui/format";
import { AnswerNote, ErrorNote } from "../../ui/notes";
import { tell } from "../../ui/toasts";
import { Happenings } from "./AlertLog";
import { Labels, Severity, showMeasured, Status } from "./badges";

type Alert = Schemas["Alert"];

const AGAIN_MS = 10_000;

export function AlertPage({ id }: { id: string }) {
  const path = inWorkspace(`alerts/${encodeURIComponent(id)}`);
  const answer = useAnswer<Alert>(path, {}, AGAIN_MS);
  const { data: alert, again } = answer;
  if (!alert) return <AnswerNote of={answer} what="the alert" />;
  const event = alert.lastEvent;
  return (
    <section class="stack">
      <AnswerNote of={answer} what="the alert" />
      <div class="row">
        <a class="button" href={linkTo("/alerts")}>← All</a>
        <h2 class="title">{alert.ruleName}</h2>
        <Severity severity={alert.severity} />
        <Status status={alert.status} flapping={alert.flapping} />
      </div>
      <div class="card stack">
        <dl class="facts">
          <dt>Of</dt><dd><Labels labels={alert.group} /></dd>
          <dt>Began</dt><dd>{showSecond(BigInt(alert.startedAtUnixNano))} ({showAge(BigInt(alert.startedAtUnixNano))})</dd>
          {event && <><dt>Fires when</dt><dd>{event.measure} is {event.condition}</dd></>}
          {alert.by && <><dt>By</dt><dd>{alert.by}</dd></>}
          {Object.entries(event?.annotations ?? {}).map(([name, text]) => [<dt key={`${name}-name`}>{name}</dt>, <dd key={name}><Annotation text={text} /></dd>])}
        </dl>
        <p><a href={linkTo("/alerts", { tab: "rules", edit: alert.ruleId })}>The rule</a></p>
      </div>
      {(alert.status === "active" || alert.status === "acknowledged") && <Act alert={alert} path={path} onDone={again} />}
      {event && event.evidence.length > 0 && <Evidence event={event} />}
      <h3>What happened</h3>
      <Happenings key={alert.entry} path={`alerts/${encodeURIComponent(id)}/history`} />
    </section>
  );
}

/** Links lead there if they are ones of the web. */
function Annotation({ text }: { text: string }) {
  return /^https?:\/\/\S+$/.test(text) ? <a href={text} target="_blank" rel="noreferrer noopener">{text}</a> : <>{text}</>;
}

function Act({ alert, path, onDone }: { alert: Alert; path: string; onDone: () => void }) {
  const [note, setNote] = useState("");
  const [error, setError] = useState<ApiError>();
  const act = async (what: "acknowledge" | "resolve"): Promise<void> => {
    try {
      await ask(`${path}/${what}`, { method: "POST", body: { note } });
      tell(what === "resolve" ? "The alert is resolved" : "You look after this alert");
      setNote("");
      setError(undefined);
      onDone();
    } catch (caught) {
      if (!(caught instanceof ApiError)) throw caught;
      setError(caught);
    }
  };
  return (
    <form class="card stack" aria-label="What you do about it" onSubmit={(event) => { event.preventDefault(); void act(alert.status === "active" ? "acknowledge" : "resolve"); }}>
      <label class="stack">
        Note for others
        <input value={note} maxLength={1000} onInput={(event) => setNote(event.currentTarget.value)} />
      </label>
      <div class="row">
        {alert.status === "active" && <button type="submit" class="button primary">Acknowledge</button>}
        <button type="button" class="button" onClick={() => void act("resolve")}>Resolve</button>
        <span class="soft">Whoever was told of the alert is told of this, too.</span>
      </div>
      {error && <ErrorNote error={error} />}
    </form>
  );
}

function Evidence({ event }: { event: Schemas["AlertEvent"] }) {
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="What was measured">
      <table class="data">
        <caption class="alert-caption">What was measured until {showSecond(BigInt(event.windowEndUnixNano))}</caption>
        <thead>
          <tr>
            <th scope="col">Of</th>
            <th scope="col" class="number">{event.measure}</th>
            <th scope="col" class="number">Spans</th>
            <th scope="col">Traces that show it</th>
          </tr>
        </thead>
        <tbody>
          {event.evidence.map((each, at) => (
            <tr key={at}>
              <td><Labels labels={each.labels} /></td>
              <td class="number">{showMeasured(each.value, event.unit)}</td>
              <td class="number">{showCount(each.spans)}</td>
              <td>
                {each.traceIds.length ? each.traceIds.map((id) => <a key={id} class="mono label-pair" href={linkTo(`/trace/${id}`)}>{id.slice(0, 8)}</a>) : <span class="soft">none</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
