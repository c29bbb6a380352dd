// What has happened to alerts, the latest first.
import type { Schemas } from "../../api/client";
import { linkTo } from "../../app/location";
import { useList } from "../../objects/useList";
import { currentRange, rangeQuery, showSecond } from "../../time/range";
import { Listing } from "../../ui/Listing";
import { Empty } from "../../ui/notes";
import { Labels, Severity, Status } from "./badges";

type Happening = Schemas["AlertHistory"]["happenings"][number];

const MINUTE = 60_000_000_000n;

/** All that happened in the time range. */
export function AlertLog() {
  return <Happenings path="alert-history" ranged />;
}

export function Happenings({ path, ranged = false }: { path: string; ranged?: boolean }) {
  // To the minute, so that what is asked stays the same from one look to the next.
  const { start, end } = currentRange();
  const range = ranged ? rangeQuery({ start: (start / MINUTE) * MINUTE, end: (end / MINUTE + 1n) * MINUTE }) : {};
  const listed = useList<Happening>(path, "happenings", { limit: 50, ...range });
  return (
    <Listing what="What happened to alerts" of={listed} heads={["When", "Alert", "Of", "Became", "By", "Note"]}
      empty={<Empty title="Nothing happened"><p>No alert changed in this time range.</p></Empty>}>
      {listed.data?.map((each) => (
        <tr key={`${each.id} ${each.entry}`}>
          <td class="when">{showSecond(BigInt(each.atUnixNano))}</td>
          <td><a href={linkTo("/alerts", { alert: each.id })}>{each.ruleName}</a> <Severity severity={each.severity} /></td>
          <td><Labels labels={each.group} /></td>
          <td><Status status={each.status} flapping={each.flapping} /></td>
          <td>{each.by}</td>
          <td class="said">{each.event?.note}</td>
        </tr>
      ))}
    </Listing>
  );
}
