import type { ComponentChildren } from "preact";
import { go } from "../app/location";

interface Props {
  href: string;
  label: string;
  class?: string;
  tabIndex?: number;
  /** When the pointer or the focus comes to it. */
  onNear: () => void;
  children: ComponentChildren;
}

/** A link within a picture, which is followed without loading the page anew. */
export function SvgLink({ href, label, tabIndex, onNear, children, ...others }: Props) {
  return (
    <a
      {...others}
      href={href}
      // Attributes of SVG are known in lower case alone.
      tabindex={tabIndex}
      aria-label={label}
      onFocus={onNear}
      onMouseEnter={onNear}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(href);
      }}
    >
      {children}
    </a>
  );
}
