// A picture on a canvas that keys lead through. What they have led to is marked in it, and stands in the document for those who
// cannot see the picture.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

/** A part of the picture, in CSS pixels from its upper left corner. */
export interface Mark {
  /** Another one for each part. */
  key: string | number;
  /** What it is, in words. */
  text: string;
  /** How deep it lies, in trees. */
  level?: number;
  left: number;
  top: number;
  width: number;
  height: number;
}

interface Props {
  role: "tree" | "listbox";
  label: string;
  mark: Mark | undefined;
  onKeyDown: (event: KeyboardEvent) => void;
  /** The canvas. */
  children: ComponentChildren;
}

export function Walked({ role, label, mark, onKeyDown, children }: Props) {
  const own = useId();
  const marked = useRef<HTMLSpanElement>(null);
  const id = mark && `${own}-${mark.key}`;
  useEffect(() => {
    if (marked.current?.parentElement === document.activeElement) marked.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [id]);
  return (
    <div class="walked" role={role} aria-label={label} tabIndex={0} aria-activedescendant={id} onKeyDown={onKeyDown}>
      {children}
      {mark && (
        <span ref={marked} id={id} class="walked-mark" role={role === "tree" ? "treeitem" : "option"} aria-level={mark.level} aria-selected="true" aria-label={mark.text}
          style={{ left: `${mark.left}px`, top: `${mark.top}px`, width: `${mark.width}px`, height: `${mark.height}px` }} />
      )}
    </div>
  );
}
