import { linkTo } from "../../app/location";
import { serviceColor } from "../../ui/colors";
import { showName } from "../../ui/format";

/** A service's name in its colour, which leads to it; one that has no name has no view either. */
export function ServiceLink({ name }: { name: string }) {
  return (
    <>
      <span class="dot" style={{ background: serviceColor(name) }} /> {name ? <a class="name" href={linkTo(`/services/${encodeURIComponent(name)}`)}>{name}</a> : showName(name)}
    </>
  );
}
