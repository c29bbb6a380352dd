// What an object has said before, who changed it, and what they changed.
import { useAnswer } from "../api/useAnswer";
import { inWorkspace } from "../app/workspace";
import { showSecond } from "../time/range";
import { AnswerNote } from "../ui/notes";
import { differences } from "./difference";
import type { Kind, Stored } from "./kind";

type Version = Stored & { deleted: boolean };

export function ObjectHistory<T extends Stored>({ kind, id }: { kind: Kind<T>; id: string }) {
  const answer = useAnswer<{ versions: Version[] }>(inWorkspace(`${kind.path}/${id}/versions`), { query: { limit: 100 } });
  const { data } = answer;
  if (!data) return <AnswerNote of={answer} what="the history" />;
  return (
    <ol class="history">
      {data.versions.map((version, at) => (
        <li key={version.version} class="card">
          <div class="row spread">
            <strong>{version.deleted ? "Deleted" : version.version === 1 ? "Made" : `Changed to version ${version.version}`}</strong>
            <span class="soft">{version.updatedBy}, {showSecond(BigInt(version.updatedAtUnixNano))}</span>
          </div>
          {!version.deleted && <Differences before={data.versions[at + 1]} after={version} />}
        </li>
      ))}
    </ol>
  );
}

function Differences({ before, after }: { before: Version | undefined; after: Version }) {
  const found = differences(before as Record<string, unknown> | undefined, after as unknown as Record<string, unknown>);
  return (
    <div class="scroll-x" tabIndex={0} role="group" aria-label={`What version ${after.version} says`}>
      <table class="data">
        <thead>
          <tr>
            <th scope="col">Field</th>
            {before && <th scope="col">Before</th>}
            <th scope="col">{before ? "After" : "Said"}</th>
          </tr>
        </thead>
        <tbody>
          {found.map((each) => (
            <tr key={each.field}>
              <td><code>{each.field}</code></td>
              {before && <td class="said">{each.before || <span class="soft">nothing</span>}</td>}
              <td class="said">{each.after || <span class="soft">nothing</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
