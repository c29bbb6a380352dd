// A list of rows of equal height, of which only those are in the document that can be seen.
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props {
  count: number;
  rowHeight: number;
  /** The most of the whole list, as CSS. */
  height: string;
  /** Which row must be seen; changes scroll to it. */
  reveal?: number;
  label: string;
  /** The id of the element that is the chosen one, for screen readers. */
  active?: string | undefined;
  /** The element of the rows, for those who listen to keys. */
  element?: RefObject<HTMLDivElement | null>;
  role?: "tree" | "table" | "list";
  /** One row. `key` stays with its elements, which are used again for other rows as the list is scrolled. */
  row: (at: number, key: number) => ComponentChildren;
}

const BEYOND = 6;

export function Windowed({ count, rowHeight, height, reveal, label, active, element, role = "list", row }: Props) {
  const own = useRef<HTMLDivElement>(null);
  const scroller = element ?? own;
  const [first, setFirst] = useState(0);
  const [shown, setShown] = useState(60);
  useLayoutEffect(() => {
    const node = scroller.current;
    if (!node) return;
    const measure = (): void => setShown(Math.ceil(node.clientHeight / rowHeight) + 2 * BEYOND);
    const observer = new ResizeObserver(measure);
    observer.observe(node);
    measure();
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const node = scroller.current;
    if (!node || reveal === undefined || reveal < 0) return;
    // The list itself may be out of sight, behind the fold.
    node.scrollIntoView({ block: "nearest" });
    const top = reveal * rowHeight;
    if (top < node.scrollTop) node.scrollTop = top - rowHeight;
    else if (top + rowHeight > node.scrollTop + node.clientHeight) node.scrollTop = top + 2 * rowHeight - node.clientHeight;
    // What was in sight stays there when less of the list is, as where something opens beside it.
  }, [reveal, count, shown]);
  const start = Math.max(0, Math.min(first, count - 1) - BEYOND);
  const end = Math.min(count, start + shown);
  const rows = [];
  for (let at = start; at < end; at++) rows.push(row(at, at % shown));
  return (
    <div
      ref={scroller}
      class="windowed"
      role={role}
      aria-label={label}
      tabIndex={0}
      aria-activedescendant={active}
      style={{ height: `${count * rowHeight + 2}px`, maxHeight: height }}
      onScroll={(event) => {
        const at = Math.floor(event.currentTarget.scrollTop / rowHeight);
        // A row's height of scrolling and less changes nothing that is in the document.
        setFirst(at - (at % 4));
      }}
    >
      <div role="presentation" style={{ height: `${count * rowHeight}px`, position: "relative" }}>
        <div role="presentation" style={{ transform: `translateY(${start * rowHeight}px)` }}>
          {rows}
        </div>
      </div>
    </div>
  );
}
