import type { Query } from "../../api/client";
import { linkTo } from "../../app/location";
import { serviceColor } from "../../ui/colors";
import { showName } from "../../ui/format";

/** A service's name in its colour, which leads to it. */
export function ServiceLink({ name }: { name: string }) {
  return (
    <>
      <span class="dot" style={{ background: serviceColor(name) }} /> <a class="name" href={linkToService(name)}>{showName(name)}</a>
    </>
  );
}

/** Where a service is shown: spans without one have no view, but traces that are searched for. */
export function linkToService(name: string): string {
  return name ? linkTo(`/services/${encodeURIComponent(name)}`) : linkTo("/search", spansOf(name));
}

/** What searches for the spans of a service. An empty parameter would say nothing, so those without one are asked for in words. */
export function spansOf(service: string): Query {
  return service ? { service } : { q: 'service = ""' };
}
