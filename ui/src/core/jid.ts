/** The part before the resource: names the device or person, not one connection of it. */
export function bare(jid: string): string {
  const slash = jid.indexOf('/');
  return slash < 0 ? jid : jid.slice(0, slash);
}

export function local(jid: string): string {
  const at = jid.indexOf('@');
  return at < 0 ? bare(jid) : jid.slice(0, at);
}

/** Two letters for a round mark: "mara.lind@x" gives ML, "jonas@x" gives JO. */
export function initials(jid: string): string {
  const words = local(jid).split(/[^\p{L}\p{N}]+/u).filter(Boolean);
  const [first = '?', second] = words;
  const letters = second ? first.slice(0, 1) + second.slice(0, 1) : first.slice(0, 2);
  return letters.toUpperCase();
}

/** A person's name as the page says it: the address's local part, capitalised. */
export function personName(jid: string): string {
  const name = local(jid).split(/[._+-]+/)[0] ?? '';
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}
