// What became of every span that the collector was given, by exporter, workspace and service.
import type { Schemas } from "../../api/client";
import { useAnswer } from "../../api/useAnswer";
import { showCount, showName } from "../../ui/format";
import { AnswerNote, Empty } from "../../ui/notes";
import { SendSpans } from "../../ui/SendSpans";

type Ledger = Schemas["Ledger"];
type Account = Ledger["exporters"][number]["workspaces"][number];

const AGAIN_MS = 5000;

export function Accounts() {
  const answer = useAnswer<Ledger>("/api/v1/ledger", {}, AGAIN_MS);
  const { data } = answer;
  if (!data) return <AnswerNote of={answer} what="the accounts" />;
  const isEmpty = data.exporters.every((exporter) => exporter.workspaces.length === 0) && data.refused.length === 0;
  if (isEmpty) {
    return (
      <Empty title="No span has come yet">
        <SendSpans />
      </Empty>
    );
  }
  return (
    <>
      <AnswerNote of={answer} what="the accounts" />
      <p class="soft">
        Received = refused + accepted; accepted + renamed = stored + dead letters + dropped + waiting.
        {data.lasting ? " Counted over restarts." : " Counted since the daemon started."}
      </p>
      {data.exporters.map((exporter) => (
        <section key={exporter.exporter} class="card">
          <h2>Exporter {exporter.exporter}</h2>
          <div class="scroll-x" tabIndex={0} role="group" aria-label="Workspaces">
            <AccountTable accounts={exporter.workspaces} />
          </div>
        </section>
      ))}
      {data.refused.length > 0 && (
        <section class="card">
          <h2>Refused</h2>
          <ul>
            {data.refused.map((refused) => (
              <li key={refused.workspace}>
                {refused.workspace || "unknown"}: <Reasons reasons={refused.reasons} />
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function AccountTable({ accounts }: { accounts: readonly Account[] }) {
  return (
    <table class="data">
      <thead>
        <tr>
          <th scope="col">Workspace</th>
          <th scope="col">Service</th>
          {["Accepted", "Renamed", "Stored", "Dead letters", "Waiting"].map((name) => (
            <th key={name} scope="col" class="number">
              {name}
            </th>
          ))}
          <th scope="col">Dropped</th>
        </tr>
      </thead>
      <tbody>
        {accounts.flatMap((account) => [
          <AccountRow key={account.workspace} workspace={account.workspace || "unknown"} service="all" account={account} />,
          ...account.services.map((service) => (
            <AccountRow key={`${account.workspace} ${service.service}`} workspace="" service={showName(service.service)} account={service} />
          )),
        ])}
      </tbody>
    </table>
  );
}

function AccountRow({ workspace, service, account }: { workspace: string; service: string; account: Omit<Account, "workspace" | "services"> }) {
  return (
    <tr>
      <td>{workspace}</td>
      <td><span class="name">{service}</span></td>
      {[account.accepted, account.renamed, account.stored, account.deadLetters, account.waiting].map((count, column) => (
        <td key={column} class="number">
          {showCount(count)}
        </td>
      ))}
      <td>
        <Reasons reasons={account.dropped} />
      </td>
    </tr>
  );
}

function Reasons({ reasons }: { reasons: Record<string, number> }) {
  const named = Object.entries(reasons);
  if (!named.length) return <span class="soft">none</span>;
  return <>{named.map(([reason, count]) => `${reason} ${showCount(count)}`).join(", ")}</>;
}
