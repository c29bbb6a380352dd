// What is wrong now, what is watched, who is told, and who wants to be left alone.
import { parameter } from "../../app/location";
import { Objects } from "../../objects/Objects";
import { Tabs } from "../../ui/Tabs";
import { ActiveAlerts } from "./ActiveAlerts";
import { AlertPage } from "./AlertPage";
import "./alerts.css";
import { Channels } from "./Channels";
import { Deliveries } from "./Deliveries";
import { AlertLog } from "./AlertLog";
import { MAINTENANCE_WINDOWS, SILENCES } from "./quiet";
import { Rules } from "./Rules";

const TABS = [
  ["active", "Active"], ["rules", "Rules"], ["channels", "Channels"], ["silences", "Silences"], ["windows", "Maintenance windows"],
  ["log", "What happened"], ["deliveries", "Deliveries"],
] as const;

export default function AlertsView() {
  return (
    <div class="stack">
      <h1>Alerts</h1>
      <Tabs view="/alerts" label="Parts of alerts" tabs={TABS} />
      <Part tab={parameter("tab", "active")} />
    </div>
  );
}

function Part({ tab }: { tab: string }) {
  switch (tab) {
    case "rules":
      return <Rules />;
    case "channels":
      return <Channels />;
    case "silences":
      return <Objects key={tab} kind={SILENCES} />;
    case "windows":
      return <Objects key={tab} kind={MAINTENANCE_WINDOWS} />;
    case "log":
      return <AlertLog />;
    case "deliveries":
      return <Deliveries />;
    default:
      return parameter("alert") ? <AlertPage id={parameter("alert")} /> : <ActiveAlerts />;
  }
}
