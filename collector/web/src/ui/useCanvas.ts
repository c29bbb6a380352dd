import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { shownColors } from "./theme";

/** A canvas of a height in CSS pixels, as wide as the element that it stands in.
 *
 * It is drawn anew when its size, the colours or one of `shown` changes. The context has CSS pixels as its unit. */
export function useCanvas(
  height: number, shown: readonly unknown[], draw: (context: CanvasRenderingContext2D, width: number) => void,
): { canvas: RefObject<HTMLCanvasElement | null>; width: number } {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(1000);
  const colors = shownColors.value;
  useLayoutEffect(() => {
    const around = canvas.current?.parentElement;
    if (!around) return;
    const measure = (): void => setWidth(around.clientWidth);
    const observer = new ResizeObserver(measure);
    observer.observe(around);
    measure();
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const node = canvas.current;
    const context = node?.getContext("2d");
    if (!node || !context) return;
    const scale = window.devicePixelRatio || 1;
    node.width = width * scale;
    node.height = height * scale;
    context.scale(scale, scale);
    draw(context, width);
  }, [width, height, colors, ...shown]);
  return { canvas, width };
}
