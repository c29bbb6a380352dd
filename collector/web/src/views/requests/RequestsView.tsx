// Requests that are sent to see what comes of them, each as a trace of its own.
import { parameter } from "../../app/location";
import { Tabs } from "../../ui/Tabs";
import { Executions } from "./Executions";
import { ExecutionPage } from "./ExecutionPage";
import { SavedRequests } from "./SavedRequests";

export default function RequestsView() {
  const execution = parameter("execution");
  return (
    <div class="stack">
      <h1>Requests</h1>
      <Tabs view="/requests" label="Parts of requests" tabs={[["saved", "Saved"], ["executions", "Executions"]]} />
      {parameter("tab") !== "executions" ? <SavedRequests /> : execution ? <ExecutionPage key={execution} id={execution} /> : <Executions />}
    </div>
  );
}
