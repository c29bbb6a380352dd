// Which rules a service has to follow at this moment.
import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { parameter, setParameters } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { nameInWords } from "../../objects/shape";
import { showShare } from "../../ui/format";
import { AnswerNote } from "../../ui/notes";

const AGAIN_MS = 5000;

export function HoldsNow() {
  const service = parameter("service");
  const [text, setText] = useState(service);
  const answer = useAnswer<Schemas["FailuresOfService"]>(service ? inWorkspace("failure-rules/of-service") : null, { query: { service } }, AGAIN_MS);
  const { data } = answer;
  return (
    <section class="card stack" aria-label="What holds now">
      <form class="row" onSubmit={(event) => { event.preventDefault(); setParameters({ service: text.trim() }); }}>
        <label class="row">
          What holds now for the service
          <input value={text} placeholder="cart" onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="submit" class="button">Show</button>
      </form>
      {service && <AnswerNote of={answer} what="what holds now" />}
      {service && data && (
        <div role="status">
          {data.rules.length === 0 && <span>Nothing fails on purpose for <code>{service}</code> now.</span>}
          <ul class="holds">
            {data.rules.map((rule) => <li key={rule.id}><strong>{rule.name}</strong>: {nameInWords(rule.failure.type ?? "")}, in {showShare(rule.probability)} of the traces</li>)}
          </ul>
        </div>
      )}
    </section>
  );
}
