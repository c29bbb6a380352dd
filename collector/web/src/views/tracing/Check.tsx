// Which config speaks for a service, and what follows.
import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { parameter, setParameters } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import { showShare } from "../../ui/format";
import { ErrorNote } from "../../ui/notes";

export function Check() {
  const service = parameter("service");
  const [text, setText] = useState(service);
  const { data, error } = useAnswer<Schemas["TracingCheck"]>(service ? inWorkspace("tracing-configs/check") : null, { query: { service } });
  return (
    <section class="card stack" aria-label="What holds for a service">
      <form class="row" onSubmit={(event) => { event.preventDefault(); setParameters({ service: text.trim() }); }}>
        <label class="row">
          What holds for the service
          <input value={text} placeholder="checkout" onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        <button type="submit" class="button">Check</button>
      </form>
      {error && <ErrorNote error={error} />}
      {data && <Answer check={data} />}
    </section>
  );
}

function Answer({ check }: { check: Schemas["TracingCheck"] }) {
  return (
    <div role="status">
      <span class={`badge ${check.traced ? "good" : "warn"}`}>{check.traced ? "traced" : "not traced"}</span>{" "}
      {check.traced && <>{showShare(check.samplingRate)} of the traces of <code>{check.service}</code> are kept</>}
      {check.excludedPaths.length > 0 && <>, without {check.excludedPaths.map((path, at) => <>{at > 0 && ", "}<code key={path}>{path}</code></>)}</>}
      {". "}
      {check.config ? (
        <>
          The config for <button type="button" class="link" onClick={() => setParameters({ edit: check.config?.id ?? null })}>{check.config.service}</button> says so
          {check.rule === "glob" && ", the longest glob that matches"}.
        </>
      ) : "No config speaks for it, so the default holds."}
    </div>
  );
}
