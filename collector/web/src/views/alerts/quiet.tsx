// When people do not want to hear of alerts: once, or again and again.
import type { Schemas } from "../../api/client";
import type { Kind } from "../../objects/kind";
import { showMinute } from "../../time/range";
import { Labels } from "./badges";
import { RulePicker } from "./pickers";

type Silence = Schemas["Silence"];
type MaintenanceWindow = Schemas["MaintenanceWindow"];

const HOUR_MS = 3_600_000;

function isNow({ startsAt, endsAt }: Silence): boolean {
  return Date.parse(startsAt) <= Date.now() && Date.now() < Date.parse(endsAt);
}

function when(text: string): string {
  return showMinute(BigInt(Date.parse(text)) * 1_000_000n);
}

function Meant({ rules, labels }: { rules: readonly string[]; labels: Record<string, string> }) {
  return (
    <>
      {rules.length > 0 && <>{rules.length} {rules.length === 1 ? "rule" : "rules"} </>}
      <Labels labels={labels} otherwise={rules.length ? "" : "every alert"} />
    </>
  );
}

export const SILENCES: Kind<Silence> = {
  path: "silences",
  plural: "silences",
  schema: "SilenceSettings",
  noun: "silence",
  nameOf: (silence) => silence.comment,
  columns: [
    { head: "Holds", cell: (silence) => <>{when(silence.startsAt)} – {when(silence.endsAt)} {isNow(silence) && <span class="badge warn">now</span>}</> },
    { head: "Alerts", cell: (silence) => <Meant rules={silence.rules} labels={silence.labels} /> },
  ],
  first: ["comment", "startsAt", "endsAt", "labels", "rules"],
  pickers: { rules: RulePicker },
  begin: () => ({ startsAt: new Date().toISOString(), endsAt: new Date(Date.now() + HOUR_MS).toISOString() }),
  empty: <p>A silence keeps people from being told of some alerts for a while. The alerts stay in the list.</p>,
};

export const MAINTENANCE_WINDOWS: Kind<MaintenanceWindow> = {
  path: "maintenance-windows",
  plural: "maintenanceWindows",
  schema: "MaintenanceWindowSettings",
  noun: "maintenance window",
  nameOf: (window) => window.name,
  columns: [
    { head: "Begins", cell: (window) => <><code>{window.cron}</code> {window.timeZone}</> },
    { head: "Lasts", cell: (window) => String(window.duration) },
    { head: "Alerts", cell: (window) => <Meant rules={window.rules} labels={window.labels} /> },
  ],
  first: ["name", "cron", "duration", "timeZone", "labels", "rules"],
  pickers: { rules: RulePicker },
  canToggle: true,
  empty: <p>A maintenance window comes again and again, such as <code>30 2 * * SUN</code> for 2 hours. While it lasts, nobody is told of the alerts that it names.</p>,
};
