// Services have colours that follow from their names, so that a service looks the same everywhere and for everybody.

const HUES = 24;
/** By so many degrees the hue of each colour lies behind that of the one before. */
const HUE_STEP = 137.5;
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

/** The numbers of the colours of services that are seen together. As far as there are enough, no two have the same, and none has one
 * that is hard to tell from another's; who must yield follows from their names, so that the same services look the same again. */
export function colorsTogether(services: Iterable<string>): Map<string, number> {
  const names = [...new Set(services)].sort();
  const least = 180 / Math.max(names.length, 1);
  const taken = new Set<number>();
  const result = new Map<string, number>();
  for (const name of names) {
    const own = colorIndex(name);
    const choices = Array.from({ length: HUES }, (_, at) => (own + at) % HUES);
    const far = (index: number): number => Math.min(360, ...[...taken].map((each) => distanceOf(each, index)));
    const index = choices.find((each) => far(each) >= least) ?? choices.reduce((best, each) => (far(each) > far(best) ? each : best));
    taken.add(index);
    result.set(name, index);
  }
  return result;
}

/** The colour of one of several services that are seen together, as CSS. */
export function colorAmong(colors: ReadonlyMap<string, number>, service: string): string {
  return COLORS[colors.get(service) ?? colorIndex(service)] as string;
}

/** The same for canvases, of several services. */
export function resolvedAmong(colors: ReadonlyMap<string, number>, services: readonly string[]): string[] {
  return services.map((service) => resolved(`--service-${colors.get(service) ?? colorIndex(service)}`));
}

/** How far two colours lie apart on the circle of hues, in degrees. */
function distanceOf(one: number, other: number): number {
  const degrees = Math.abs((one - other) * HUE_STEP) % 360;
  return Math.min(degrees, 360 - degrees);
}

/** The value of a CSS variable at the moment, for canvases. */
export function resolved(variable: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}
