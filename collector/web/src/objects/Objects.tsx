// All objects of a kind: the list, one that is made or changed, or the history of one. Which of them is in the URL.
import type { ComponentChildren } from "preact";
import { useAnswer } from "../api/useAnswer";
import { parameter, setParameters } from "../app/location";
import { inWorkspace } from "../app/workspace";
import { AnswerNote } from "../ui/notes";
import type { Kind, Stored } from "./kind";
import { ObjectForm } from "./ObjectForm";
import { ObjectHistory } from "./ObjectHistory";
import { ObjectList } from "./ObjectList";
import "./objects.css";

export interface ObjectsProps<T extends Stored> {
  kind: Kind<T>;
  /** Buttons of a row, besides those that all kinds have. */
  actions?: (object: T, again: () => void) => ComponentChildren;
  extra?: (settings: Record<string, unknown>) => ComponentChildren;
}

export function Objects<T extends Stored>(props: ObjectsProps<T>) {
  const { kind, extra } = props;
  const edited = parameter("edit");
  const remembered = parameter("history");
  const leave = (): void => setParameters({ edit: null, history: null });
  if (remembered) {
    return (
      <Inside title={`History of the ${kind.noun}`} onLeave={leave}>
        <ObjectHistory kind={kind} id={remembered} />
      </Inside>
    );
  }
  if (edited === "new") {
    return (
      <Inside title={`New ${kind.noun}`} onLeave={leave}>
        <ObjectForm kind={kind} object={undefined} onSaved={leave} onLeave={leave} extra={extra} />
      </Inside>
    );
  }
  if (edited) return <Change kind={kind} id={edited} onLeave={leave} extra={extra} />;
  return <ObjectList {...props} />;
}

function Inside({ title, onLeave, children }: { title: string; onLeave: () => void; children: ComponentChildren }) {
  return (
    <section class="stack">
      <div class="row">
        <button type="button" class="button" onClick={onLeave}>← All</button>
        <h2 class="title">{title}</h2>
      </div>
      {children}
    </section>
  );
}

function Change<T extends Stored>({ kind, id, onLeave, extra }: { kind: Kind<T>; id: string; onLeave: () => void; extra: ObjectsProps<T>["extra"] }) {
  const answer = useAnswer<T>(inWorkspace(`${kind.path}/${id}`));
  const { data } = answer;
  return (
    <Inside title={data ? kind.nameOf(data) : `One ${kind.noun}`} onLeave={onLeave}>
      <AnswerNote of={answer} what={`the ${kind.noun}`} />
      {data && <ObjectForm kind={kind} object={data} onSaved={onLeave} onLeave={onLeave} extra={extra} />}
    </Inside>
  );
}
