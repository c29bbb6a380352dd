/** What is being typed at the end of a text: a name, or the value of one behind an operator. */
export function typed(text: string): { name: string; part: string } {
  const value = /([\w.\-/]+)\s*(?:==?|!=|=~|!~)\s*("?)([^"\s(){}]*)$/.exec(text);
  if (value) return { name: value[1] ?? "", part: value[3] ?? "" };
  return { name: "", part: /([\w.\-/]*)$/.exec(text)?.[1] ?? "" };
}
