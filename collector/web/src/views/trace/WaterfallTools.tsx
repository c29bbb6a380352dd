// What is above a waterfall: search within the trace, ways to the spans that matter, and how much of the tree is open.
import type { RefObject } from "preact";
import { setParameters } from "../../app/location";
import { showCount } from "../../ui/format";

interface Props {
  box: RefObject<HTMLInputElement | null>;
  search: string;
  hits: number;
  failed: number;
  showsPath: boolean;
  isFocused: boolean;
  onHit: (step: 1 | -1) => void;
  onError: () => void;
  onSlowest: () => void;
  onWholeTree: () => void;
  onCollapse: () => void;
  onExpand: () => void;
  onRepeats: () => void;
  onKeys: () => void;
}

export function WaterfallTools(props: Props) {
  const { box, search, hits, failed, showsPath, isFocused, onHit } = props;
  return (
    <div class="row tools">
      <div class="find">
        <label>
          <span class="visually-hidden">Find</span>
          <input ref={box} type="search" value={search} placeholder="Find name, service or id"
            onInput={(event) => setParameters({ find: event.currentTarget.value }, true)}
            onKeyDown={(event) => {
              if (event.key === "Enter") { onHit(event.shiftKey ? -1 : 1); event.preventDefault(); }
              if (event.key === "Escape") event.currentTarget.blur();
            }} />
        </label>
        {search && <span class="soft" role="status">{showCount(hits)} {hits === 1 ? "span" : "spans"}</span>}
      </div>
      <button type="button" class="button" disabled={!failed} title="Key e" onClick={props.onError}>Next error</button>
      <button type="button" class="button" title="The span that the trace waited for longest, then the next: key s" onClick={props.onSlowest}>Slowest</button>
      <button type="button" class="button" aria-pressed={showsPath} onClick={() => setParameters({ path: showsPath ? "off" : null }, true)}>
        Critical path
      </button>
      {isFocused && <button type="button" class="button" onClick={props.onWholeTree}>Whole tree</button>}
      <button type="button" class="button" onClick={props.onCollapse}>Collapse</button>
      <button type="button" class="button" onClick={props.onExpand}>Expand</button>
      <button type="button" class="button" title="Draw spans that repeat as one: key r" onClick={props.onRepeats}>Collapse repeats</button>
      <button type="button" class="button" aria-label="Keys" title="Keys" onClick={props.onKeys}>?</button>
    </div>
  );
}
