// Services have colours that follow from their names, so that a service looks the same everywhere and for everybody.

const HUES = 24;
const COLORS: readonly string[] = Array.from({ length: HUES }, (_, at) => `var(--service-${at})`);
const cache = new Map<string, number>();

/** The number of a service's colour, from 0 to 23; its CSS is `var(--service-N)`. */
export function colorIndex(service: string): number {
  let index = cache.get(service);
  if (index === undefined) {
    // FNV-1a.
    let hash = 0x811c9dc5;
    for (let at = 0; at < service.length; at++) hash = Math.imul(hash ^ service.charCodeAt(at), 0x01000193);
    index = (hash >>> 0) % HUES;
    cache.set(service, index);
  }
  return index;
}

/** The colour of a service as CSS; canvases need `resolved`. */
export function serviceColor(service: string): string {
  return COLORS[colorIndex(service)] as string;
}

/** The value of a CSS variable at the moment, for canvases. */
export function resolved(variable: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}
