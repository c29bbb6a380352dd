import type { Schemas } from "../../api/client";
import { linkTo } from "../../app/location";
import { serviceColor } from "../../ui/colors";
import { Change } from "../../ui/Figure";
import { showCount, showDuration, showName, showRate, showShare } from "../../ui/format";
import { spansOf } from "../services/ServiceLink";

type Requests = Schemas["Requests"];
type Ranked = Schemas["Dashboard"]["operations"]["slowest"][number];

interface Column {
  head: string;
  value: (requests: Requests) => number | string;
  show: (value: number) => string;
  more: "worse" | "neither";
  /** What searches for the traces that are meant. */
  search: Record<string, string>;
}

const COLUMNS = {
  rate: { head: "Rate", value: (requests) => requests.perSecond, show: showRate, more: "neither", search: {} },
  p95: { head: "95 % within", value: (requests) => requests.p95Nanos, show: showDuration, more: "worse", search: { sort: "duration" } },
  failed: { head: "Failed", value: (requests) => requests.failed, show: showCount, more: "worse", search: { status: "error" } },
  time: { head: "Time", value: (requests) => requests.totalNanos, show: showDuration, more: "neither", search: { sort: "duration" } },
} satisfies Record<string, Column>;

/** Operations that are ahead in something, each with how that changed; they lead to their traces. */
export function OperationsTable({ title, operations, shows }: { title: string; operations: readonly Ranked[]; shows: keyof typeof COLUMNS }) {
  const column: Column = COLUMNS[shows];
  return (
    <section class="card" aria-label={title}>
      <h2>{title}</h2>
      {operations.length === 0 && <p class="soft">None.</p>}
      {operations.length > 0 && (
        <div class="scroll-x">
          <table class="data" aria-label={title}>
            <thead>
              <tr>
                <th scope="col">Operation</th>
                <th scope="col" class="number">{column.head}</th>
                {shows !== "failed" && <th scope="col" class="number">Failed</th>}
              </tr>
            </thead>
            <tbody>
              {operations.map(({ service, operation, current: now, previous: before }) => now && (
                <tr key={`${service} ${operation}`}>
                  <th scope="row" class="wrapped">
                    <a href={linkTo("/search", { ...spansOf(service), operation, ...column.search })}>{showName(operation)}</a>
                    <div class="small"><span class="dot" style={{ background: serviceColor(service) }} /> {showName(service)}</div>
                  </th>
                  <td class={`number ${shows === "failed" ? "error-text" : ""}`}>
                    {column.show(Number(column.value(now)))}
                    <div class="figure-before">
                      {before ? <Change now={column.value(now)} before={column.value(before)} more={column.more} /> : "new"}
                    </div>
                  </td>
                  {shows !== "failed" && <td class={`number ${Number(now.failed) ? "error-text" : ""}`}>{showShare(now.errorRate)}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
