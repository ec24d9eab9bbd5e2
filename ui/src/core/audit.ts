import type { AuditEntry } from './api.ts';
import { personName } from './jid.ts';
import { asSentence } from './words.ts';

// The audit log's entries as sentences for somebody who runs a shop, not a server.

/** A line of the log: who or what it is about, and what came of it. */
export interface Said {
  bold: string;
  text: string;
}

/** What things are called: a camera's name, a storage's location; undefined: neither. */
export type NameOf = (jid: string) => string | undefined;

/** Why the server refused somebody, by the beginning of its own words. */
const REFUSED: [string, string][] = [
  ['this link is not valid any more', 'the sign-in link was used before, or too old'],
  ['a login link was asked for an address', 'this address may not sign in'],
  ['this code is not valid any more', 'the set-up code was wrong, used before, or too old'],
  ['this name has no access any more', 'it was taken off the list of who may come in'],
  ['token was revoked', 'its access was taken back'],
  ['token has expired', 'its sign-in was too old'],
  ['this token was replaced', 'its sign-in was out of date'],
  ['an old token was used again', 'an old copy of a sign-in was used again'],
  ['the session', 'its sign-in is over'],
  ['a player', "a player's access is not renewed by itself"],
  ['token', 'what it showed was not made by this server'],
];

export function said(entry: AuditEntry, nameOf: NameOf, actions: Record<string, string>): Said {
  const { what, who, about, network, agent, detail } = entry;
  const name = (jid: string): string => nameOf(jid) ?? jid;
  const bold = who === null ? '' : (nameOf(who) ?? (entry.role === 'user' ? personName(who) : who));
  const from = network ? ` from ${network}` : '';
  const by = agent ? `, with ${agent}` : '';
  const thing = about === null ? '' : name(about);
  switch (what) {
    case 'login':
      return { bold, text: `signed in${from}${by}.` };
    case 'logout':
      return { bold, text: 'signed out.' };
    case 'session-ended':
      return detail?.startsWith('a replaced token')
        ? {
            bold,
            text: `was signed out: an old copy of the sign-in was used${from}. Somebody else may have it.`,
          }
        : { bold, text: `ended a sign-in elsewhere${detail ? `: ${detail}` : ''}.` };
    case 'refused':
      return { bold: bold || 'Somebody', text: `was refused${from}: ${refusal(detail ?? '')}.` };
    case 'watch':
      return { bold, text: `watched ${thing} live.` };
    case 'recordings':
      return { bold, text: `looked at recordings of ${thing}.` };
    case 'token-made':
      return detail === 'enrolled'
        ? { bold, text: 'was set up with a code.' }
        : { bold, text: `got ${entry.role === 'player' ? 'access for a player' : 'its access'}, made by hand on the server.` };
    case 'token-revoked':
      return { bold, text: 'lost its access: it was taken back on the server.' };
    case 'invited':
      if (about === null) return { bold, text: 'may be set up with a code, made on the server.' };
      return detail === 'taken back'
        ? { bold, text: `took the set-up code for ${thing} back.` }
        : { bold, text: `made a code to set ${thing} up.` };
    case 'reloaded':
      return { bold: 'The server', text: 'took over changed settings.' };
    case 'keys-rotated':
      return {
        bold: 'The server',
        text: detail === 'every key is new'
          ? 'changed all its signing keys: everybody signs in again.'
          : 'changed the key that it signs with, as it does from time to time.',
      };
    case 'lost':
      return { bold: 'This log', text: `lacks ${detail ?? 'some entries'}: the disk refused them.` };
    default:
      // A newer server's: in its own words.
      return { bold, text: [asSentence(actions[what] ?? what), asSentence(detail ?? '')].join(' ').trim() };
  }
}

const refusal = (detail: string): string =>
  REFUSED.find(([begin]) => detail.startsWith(begin))?.[1] ?? (detail || 'it may not come in');
