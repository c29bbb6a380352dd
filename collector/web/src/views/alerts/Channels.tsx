// Ways to tell people, and trying one.
import { useState } from "preact/hooks";
import { ask, type Schemas } from "../../api/client";
import { inWorkspace } from "../../app/workspace";
import type { Kind } from "../../objects/kind";
import { Objects } from "../../objects/Objects";
import { Confirm, Dialog } from "../../ui/Dialog";
import { tellError } from "../../ui/toasts";

type Channel = Schemas["Channel"];

const CHANNELS: Kind<Channel> = {
  path: "channels",
  plural: "channels",
  schema: "ChannelSettings",
  noun: "channel",
  nameOf: (channel) => channel.name,
  columns: [
    { head: "Tells", cell: (channel) => channel.target.type },
    { head: "Of", cell: (channel) => `${channel.events.length === 4 ? "everything" : channel.events.join(", ")}, ${channel.leastSeverity} and worse` },
  ],
  first: ["name", "target", "leastSeverity"],
  canToggle: true,
  empty: <p>A channel tells people: by Slack, mail, PagerDuty, a webhook or an Alertmanager. Secrets are in the configuration, below <code>extensions.alerting.secrets</code>.</p>,
};

export function Channels() {
  return <Objects kind={CHANNELS} actions={(channel) => <TestChannel channel={channel} />} />;
}

function TestChannel({ channel }: { channel: Channel }) {
  const [asking, setAsking] = useState(false);
  const [came, setCame] = useState<Schemas["ChannelTest"]>();
  const test = (): void => {
    ask<Schemas["ChannelTest"]>(inWorkspace(`channels/${channel.id}/test`), { method: "POST", body: {} }).then(setCame, tellError);
  };
  return (
    <>
      <button type="button" class="button" aria-label={`Test ${channel.name}`} onClick={() => setAsking(true)}>Test</button>
      {asking && <Confirm title="Send a test?" detail={`“${channel.name}” is told that this is a test, and that nothing is wrong.`} verb="Send" onClose={() => setAsking(false)} onConfirm={test} />}
      {came && (
        <Dialog title={came.delivered ? "It got through" : "It did not get through"} onClose={() => setCame(undefined)}>
          <p>{came.delivered ? `Taken after ${Number(came.seconds).toFixed(2)} s.` : came.reason}{came.status ? ` Status ${came.status}.` : ""}</p>
          {came.answer && <pre class="said">{came.answer}</pre>}
        </Dialog>
      )}
    </>
  );
}
