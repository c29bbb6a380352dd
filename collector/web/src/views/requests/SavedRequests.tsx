// Saved requests, and sending one.
import { useState } from "preact/hooks";
import { ask, type Schemas } from "../../api/client";
import { setParameters } from "../../app/location";
import { inWorkspace } from "../../app/workspace";
import type { Kind } from "../../objects/kind";
import { Objects } from "../../objects/Objects";
import { Confirm } from "../../ui/Dialog";
import { tellError } from "../../ui/toasts";

type SavedRequest = Schemas["SavedRequest"];

const SAVED_REQUESTS: Kind<SavedRequest> = {
  path: "saved-requests",
  plural: "savedRequests",
  schema: "SavedRequestSettings",
  noun: "saved request",
  nameOf: (saved) => saved.name,
  columns: [{ head: "Sends", cell: (saved) => <span class="said">{"method" in saved.request ? saved.request.method : "GraphQL"} {saved.request.url}</span> }],
  first: ["name", "request", "expectations"],
  empty: (
    <p>
      Save a request over HTTP, GraphQL or gRPC, send it, and look at its trace. It needs the extension <code>load_tests</code>, which says where requests may go.
    </p>
  ),
};

export function SavedRequests() {
  return <Objects kind={SAVED_REQUESTS} actions={(saved) => <Send saved={saved} />} />;
}

function Send({ saved }: { saved: SavedRequest }) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const send = (): void => {
    setBusy(true);
    ask<Schemas["RequestExecution"]>(inWorkspace(`saved-requests/${saved.id}/executions`), { method: "POST", body: {} })
      .then((execution) => setParameters({ tab: "executions", execution: execution.id }), tellError)
      .finally(() => setBusy(false));
  };
  return (
    <>
      <button type="button" class="button primary" disabled={busy} aria-label={`Send ${saved.name}`} onClick={() => setAsking(true)}>{busy ? "Sending …" : "Send"}</button>
      {asking && <Confirm title="Send this request?" detail={<>It goes to <code>{saved.request.url}</code>, from the daemon.</>} verb="Send" onClose={() => setAsking(false)} onConfirm={send} />}
    </>
  );
}
