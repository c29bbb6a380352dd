// Who did the work, and who was waited for.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { currentWorkspace } from "../../app/workspace";
import { serviceColor } from "../../ui/colors";
import { showCount, showDuration, showShare } from "../../ui/format";
import { ErrorNote, Loading } from "../../ui/notes";
import { adjusters } from "./loading";

export function SelfTimes({ traceId }: { traceId: string }) {
  const query = { adjust: adjusters() };
  const { data, error, again } = useAnswer<Schemas["SelfTimes"]>(`/api/v1/traces/${traceId}/self-times`, { query, workspace: currentWorkspace() });
  if (error) return <ErrorNote error={error} onRetry={again} />;
  if (!data) return <Loading what="self times" />;
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label="Self times">
      <table class="data">
        <caption class="visually-hidden">Self times by service and operation</caption>
        <thead>
          <tr>
            <th scope="col">Service</th>
            <th scope="col">Operation</th>
            {["Spans", "Errors", "Self time", "Share", "On the critical path", "Mean", "Longest"].map((name) => (
              <th key={name} scope="col" class="number">{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {data.groups.map((group) => (
            <tr key={`${group.service} ${group.operation}`}>
              <td><span class="dot" style={{ background: serviceColor(group.service) }} /> {group.service}</td>
              <td>{group.operation}</td>
              <td class="number">{showCount(group.spanCount)}</td>
              <td class={`number ${group.errorCount ? "error-text" : ""}`}>{showCount(group.errorCount)}</td>
              <td class="number">{showDuration(group.selfNanos)}</td>
              <td class="number">{showShare(group.selfShare)}</td>
              <td class="number">{showDuration(group.onPathNanos)}</td>
              <td class="number">{showDuration(Number(group.meanNanos))}</td>
              <td class="number">{showDuration(group.maxNanos)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
