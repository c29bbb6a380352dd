// Whether the collector works, what became of every span that it was given, how it is configured, and who has changed what.
import { BASE } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { parameter } from "../../app/location";
import { ErrorNote, Loading } from "../../ui/notes";
import { Tabs } from "../../ui/Tabs";
import { Accounts } from "./Accounts";
import { Changes } from "./Changes";
import { Configuration } from "./Configuration";

interface Readiness {
  status: string;
  problems: Record<string, string>;
}

const AGAIN_MS = 5000;

export default function HealthView() {
  const tab = parameter("tab");
  return (
    <div class="stack">
      <h1>Health</h1>
      <Ready />
      <Tabs view="/health" label="Parts of health" tabs={[["spans", "Spans"], ["configuration", "Configuration"], ["changes", "Changes"]]} />
      {tab === "configuration" ? <Configuration /> : tab === "changes" ? <Changes /> : <Accounts />}
      <p class="soft">
        <a href={`${BASE}/metrics`}>Metrics for Prometheus</a> · <a href={`${BASE}/docs`}>What the API can do</a>
      </p>
    </div>
  );
}

function Ready() {
  const { data, error } = useAnswer<Readiness>("/readyz", {}, AGAIN_MS);
  if (error?.status === 503) return <div class="note warn" role="alert">The daemon is not ready: {error.detail}</div>;
  if (error) return <ErrorNote error={error} />;
  if (!data) return <Loading what="the state of the daemon" />;
  return (
    <p role="status">
      <span class="badge good">ready</span> Everything works.
    </p>
  );
}
