import { askRaw, type Query } from "../api/client";
import { tell, tellError } from "./toasts";

/** Saves what the API answers as a file; unlike with a link, the daemon is told who asks. */
export async function download(name: string, path: string, query: Query = {}, workspace = ""): Promise<void> {
  try {
    const answer = await askRaw(path, { query, workspace });
    const url = URL.createObjectURL(await answer.blob());
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    URL.revokeObjectURL(url);
    tell(`Saved ${name}`);
  } catch (error) {
    tellError(error);
  }
}
