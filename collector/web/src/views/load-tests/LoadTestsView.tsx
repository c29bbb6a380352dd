// Load tests: what is sent, runs as they go, what came of them, and how two runs differ.
import { parameter } from "../../app/location";
import { Tabs } from "../../ui/Tabs";
import { Comparison } from "./Comparison";
import "./load-tests.css";
import { RunPage } from "./RunPage";
import { Runs } from "./Runs";
import { Tests } from "./Tests";

export default function LoadTestsView() {
  const run = parameter("run");
  const base = parameter("base");
  return (
    <div class="stack">
      <h1>Load tests</h1>
      <Tabs view="/load-tests" label="Parts of load tests" tabs={[["tests", "Tests"], ["runs", "Runs"]]} />
      {parameter("tab") !== "runs" ? <Tests /> : run && base ? <Comparison run={run} base={base} /> : run ? <RunPage key={run} id={run} /> : <Runs />}
    </div>
  );
}
