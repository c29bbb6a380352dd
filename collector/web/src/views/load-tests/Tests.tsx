// What load tests there are, and starting one.
import { useState } from "preact/hooks";
import { ask, type Schemas } from "../../api/client";
import { setParameters } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import type { Kind } from "../../objects/kind";
import { Objects } from "../../objects/Objects";
import { Confirm } from "../../ui/Dialog";
import { tellError } from "../../ui/toasts";

type LoadTest = Schemas["LoadTest"];

const LOAD_TESTS: Kind<LoadTest> = {
  path: "load-tests",
  plural: "loadTests",
  schema: "LoadTestSettings",
  noun: "load test",
  nameOf: (test) => test.name,
  columns: [
    { head: "Sends", cell: (test) => <span class="said">{"method" in test.request ? test.request.method : "GraphQL"} {test.request.url}</span> },
    { head: "How", cell: howInWords },
  ],
  first: ["name", "request", "rate", "concurrency", "duration", "requests", "rampUp", "expectations"],
  begin: () => ({ duration: "30s" }),
  empty: (
    <p>
      A load test sends one request again and again, and says what became of it. It needs the extension <code>load_tests</code>, which sends to this machine alone
      unless <code>allowed_targets</code> names more.
    </p>
  ),
};

export function Tests() {
  return <Objects kind={LOAD_TESTS} actions={(test) => <Run test={test} />} />;
}

function howInWords(test: LoadTest): string {
  const pace = test.rate ? `${test.rate} a second` : `${test.concurrency} at a time`;
  const until = [test.duration ? `for ${test.duration}` : "", test.requests ? `${test.requests} requests` : ""].filter(Boolean);
  return [pace, ...until].join(", ");
}

function Run({ test }: { test: LoadTest }) {
  const [asking, setAsking] = useState(false);
  const run = (): void => {
    ask<Schemas["LoadTestRun"]>(inWorkspace(`load-tests/${test.id}/runs`), { method: "POST", body: {} }).then(
      (started) => setParameters({ tab: "runs", run: started.id, base: null }),
      tellError,
    );
  };
  return (
    <>
      <button type="button" class="button primary" aria-label={`Run ${test.name}`} onClick={() => setAsking(true)}>Run</button>
      {asking && <Confirm title="Run the load test?" detail={<>It sends to <code>{test.request.url}</code>, {howInWords(test)}.</>} verb="Run" onClose={() => setAsking(false)} onConfirm={run} />}
    </>
  );
}
