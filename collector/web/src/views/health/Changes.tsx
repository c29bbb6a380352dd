// Who has changed what in the workspace, the latest first.
import type { Schemas } from "../../api/client";
import { linkTo } from "../../app/location";
import { useList } from "../../objects/useList";
import { showSecond } from "../../time/range";
import { Listing } from "../../ui/Listing";
import { Empty } from "../../ui/notes";

type Change = Schemas["Changes"]["changes"][number];

/** Where the histories of kinds of objects are. */
const HISTORIES: Record<string, [view: string, tab: string | null]> = {
  alert_rule: ["/alerts", "rules"],
  channel: ["/alerts", "channels"],
  silence: ["/alerts", "silences"],
  maintenance_window: ["/alerts", "windows"],
  load_test: ["/load-tests", null],
  saved_request: ["/requests", null],
  failure_rule: ["/failures", null],
  tracing_config: ["/tracing", null],
};

export function Changes() {
  const listed = useList<Change>("audit", "changes", { limit: 50 });
  return (
    <Listing what="Changes" of={listed} heads={["When", "Who", "Did", "What", "Name"]}
      empty={<Empty title="Nothing was changed yet"><p>Alert rules, tracing configs and the like tell here who has made, changed or deleted them.</p></Empty>}>
      {listed.data?.map((change) => (
        <tr key={`${change.kind} ${change.id} ${change.version}`}>
          <td class="when">{showSecond(BigInt(change.atUnixNano))}</td>
          <td>{change.by}</td>
          <td>{change.what}</td>
          <td>{change.kind.replaceAll("_", " ")}</td>
          <td><Named change={change} /></td>
        </tr>
      ))}
    </Listing>
  );
}

function Named({ change: { kind, id, name } }: { change: Change }) {
  const history = HISTORIES[kind];
  return history ? <a href={linkTo(history[0], { tab: history[1], history: id })}>{name || id}</a> : <>{name || id}</>;
}
