// The objects of a kind: search, pages, and what can be done with each.
import { useState } from "preact/hooks";
import { ask } from "../api/client";
import { parameter, setParameters } from "../app/location";
import { inWorkspace } from "../app/workspace";
import { showAge } from "../time/moment";
import { Confirm } from "../ui/Dialog";
import { AnswerNote, Empty } from "../ui/notes";
import { tell, tellError } from "../ui/toasts";
import type { Stored } from "./kind";
import type { ObjectsProps } from "./Objects";
import { toggleMany } from "./toggleMany";
import { useList } from "./useList";

export function ObjectList<T extends Stored>({ kind, actions }: ObjectsProps<T>) {
  const contains = parameter("contains");
  const listed = useList<T>(kind.path, kind.plural, { contains, limit: 50 });
  const { data: items, more, again } = listed;
  const [leaving, setLeaving] = useState<T>();
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const chosen = items?.filter((object) => marked.has(object.id)) ?? [];
  const change = async (object: T, method: "PATCH" | "DELETE", body: unknown, told: string): Promise<void> => {
    try {
      await ask(inWorkspace(`${kind.path}/${object.id}`), { method, body, version: object.version });
      tell(told);
    } catch (caught) {
      tellError(caught);
    }
    again();
  };
  const toggleChosen = async (enabled: boolean): Promise<void> => {
    await toggleMany(kind, chosen, enabled);
    setMarked(new Set());
    again();
  };
  const mark = (object: T): void => {
    const after = new Set(marked);
    if (!after.delete(object.id)) after.add(object.id);
    setMarked(after);
  };
  return (
    <section class="stack">
      <div class="row spread">
        <form role="search" class="row" onSubmit={(event) => { event.preventDefault(); setParameters({ contains: new FormData(event.currentTarget).get("contains") as string }); }}>
          <input type="search" name="contains" aria-label={`Search ${kind.noun}s`} placeholder="Contains …" defaultValue={contains} />
          <button type="submit" class="button">Search</button>
        </form>
        <button type="button" class="button primary" onClick={() => setParameters({ edit: "new" })}>New {kind.noun}</button>
      </div>
      <AnswerNote of={listed} what={`${kind.noun}s`} />
      {items?.length === 0 && (contains ? <Empty title={`No ${kind.noun} fits`}><p>None contains “{contains}”.</p></Empty> : <Empty title={`No ${kind.noun} yet`}>{kind.empty}</Empty>)}
      {items && items.length > 0 && (
        <>
        {kind.canToggleMany && (
          <div class="row" role="group" aria-label={`Chosen ${kind.noun}s`}>
            <label class="row">
              <input type="checkbox" checked={chosen.length === items.length} onChange={() => setMarked(new Set(chosen.length === items.length ? [] : items.map((object) => object.id)))} />
              All
            </label>
            <button type="button" class="button" disabled={!chosen.length} onClick={() => void toggleChosen(true)}>Enable</button>
            <button type="button" class="button" disabled={!chosen.length} onClick={() => void toggleChosen(false)}>Disable</button>
            <span class="soft" role="status">{chosen.length ? `${chosen.length} chosen` : ""}</span>
          </div>
        )}
        <div class="scroll-x">
          <table class="data objects">
            <caption class="visually-hidden">{kind.noun}s</caption>
            <thead>
              <tr>
                {kind.canToggleMany && <th scope="col"><span class="visually-hidden">Choose</span></th>}
                <th scope="col">Name</th>
                {kind.columns.map(({ head }) => <th key={head} scope="col">{head}</th>)}
                <th scope="col">Changed</th>
                <th scope="col"><span class="visually-hidden">Actions</span></th>
              </tr>
            </thead>
            <tbody>
              {items.map((object) => {
                const name = kind.nameOf(object);
                const enabled = (object as T & { enabled?: boolean }).enabled;
                return (
                  <tr key={object.id}>
                    {kind.canToggleMany && <td><input type="checkbox" aria-label={`Choose ${name}`} checked={marked.has(object.id)} onChange={() => mark(object)} /></td>}
                    <th scope="row"><button type="button" class="link" onClick={() => setParameters({ edit: object.id })}>{name}</button></th>
                    {kind.columns.map(({ head, cell }) => <td key={head}>{cell(object)}</td>)}
                    <td class="soft">{object.updatedBy}, {showAge(BigInt(object.updatedAtUnixNano))}</td>
                    <td>
                      <div class="row actions">
                        {kind.canToggle && (
                          <button type="button" class="button" role="switch" aria-checked={enabled === true} aria-label={`${name} is enabled`}
                            onClick={() => void change(object, "PATCH", { enabled: !enabled }, `${name} is ${enabled ? "disabled" : "enabled"}`)}>
                            {enabled ? "on" : "off"}
                          </button>
                        )}
                        {actions?.(object, again)}
                        <button type="button" class="button plain" aria-label={`History of ${name}`} onClick={() => setParameters({ history: object.id })}>History</button>
                        <button type="button" class="button plain" aria-label={`Delete ${name}`} onClick={() => setLeaving(object)}>Delete</button>
                      </div>
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
        </>
      )}
      {more && <button type="button" class="button" onClick={more}>More</button>}
      {leaving && (
        <Confirm title={`Delete the ${kind.noun}?`} detail={<>“{kind.nameOf(leaving)}” is gone for everybody in this workspace. Its history stays.</>} verb="Delete"
          onClose={() => setLeaving(undefined)} onConfirm={() => void change(leaving, "DELETE", undefined, `${kind.nameOf(leaving)} is deleted`)} />
      )}
    </section>
  );
}
