import { parameter } from "./location";

/** The workspace that is looked at. */
export function currentWorkspace(): string {
  return parameter("ws", "default");
}

/** A path below the workspace: `/api/v1/workspaces/default/alert-rules`. */
export function inWorkspace(path: string): string {
  return `/api/v1/workspaces/${encodeURIComponent(currentWorkspace())}/${path}`;
}
