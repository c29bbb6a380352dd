// How large the picture is: as large as fits, or as the URL says. What is in the middle, or under the pointer, stays there.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { RefObject } from "preact";
import { parameter, setParameters } from "../../app/location";

const [SMALLEST, LARGEST] = [0.2, 3];
/** Below this, names cannot be read: rather scroll. */
const READABLE = 0.8;
/** Of the window, as the style sheet has it. */
const HIGHEST = 0.72;
/** Browsers let a page change its URL a few times a second only. */
const SETTLED_MS = 400;

interface Zoom {
  zoom: number;
  /** The size that fits. */
  fit: number;
  /** Changes it by a factor, around a place in the element's own pixels or around the middle. */
  by: (factor: number, around?: { x: number; y: number }) => void;
  reset: () => void;
}

export function useZoom(scroller: RefObject<HTMLDivElement | null>, size: { width: number; height: number }): Zoom {
  const [fit, setFit] = useState(1);
  const [moving, setMoving] = useState<number | null>(null);
  const zoom = moving ?? (Number(parameter("zoom")) || fit);
  const still = useRef<{ x: number; y: number; from: number } | null>(null);
  useLayoutEffect(() => {
    const node = scroller.current;
    if (!node) return;
    const measure = (): void => {
      const high = window.innerHeight * HIGHEST;
      setFit(Math.max(Math.min(1, (node.clientWidth - 4) / size.width, high / size.height), READABLE));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(node);
    measure();
    return () => observer.disconnect();
  }, [size]);
  useLayoutEffect(() => {
    const [node, place] = [scroller.current, still.current];
    still.current = null;
    if (!node || !place) return;
    const factor = zoom / place.from;
    node.scrollTo((node.scrollLeft + place.x) * factor - place.x, (node.scrollTop + place.y) * factor - place.y);
  }, [zoom]);
  useEffect(() => {
    if (moving === null) return;
    const timer = setTimeout(() => {
      setParameters({ zoom: moving.toFixed(2) }, true);
      setMoving(null);
    }, SETTLED_MS);
    return () => clearTimeout(timer);
  }, [moving]);
  const by: Zoom["by"] = (factor, around) => {
    const node = scroller.current;
    if (!node) return;
    still.current = { ...(around ?? { x: node.clientWidth / 2, y: node.clientHeight / 2 }), from: zoom };
    setMoving(Math.min(Math.max(zoom * factor, SMALLEST), LARGEST));
  };
  return { zoom, fit, by, reset: () => { setMoving(null); setParameters({ zoom: null }, true); } };
}
