import { useEffect, useState } from 'preact/hooks';
import type { Audit, AuditEntry } from '../core/api.ts';
import type { NameOf } from '../core/audit.ts';
import { said } from '../core/audit.ts';
import type { EventMark, Happened } from '../core/events.ts';
import { gathered } from '../core/events.ts';
import type { Camera } from '../core/room.ts';
import { dateWords, dayOf, formatTime, hhmm, parseTime } from '../core/time.ts';
import { app, cameraPath, Link, Mark } from './base.tsx';
import { happened } from './happened.ts';

const SHOWN = 100;
const DAY = 86_400;
const AUDIT_DAYS = 7;

type Filter = 'all' | 'gap' | 'offline' | 'signin' | 'watched' | 'other';

const SIGN_INS = ['login', 'logout', 'session-ended', 'refused'];
const WATCHED = ['watch', 'recordings'];

/** One line of the log, whoever told it. */
interface Line {
  at: number;
  filter: Filter;
  mark: EventMark;
  text: string;
  bold: string;
  path: string | null;
  who: string | null;
}

/** What happened: the cameras' events, and the audit log where the server keeps one. */
export function Log({ cameras, now }: { cameras: Camera[]; now: number }) {
  const [filter, setFilter] = useState<Filter>('all');
  const [who, setWho] = useState('');
  const audit = useAudit();
  const zone = cameras[0]?.zone ?? null;
  const lines = [
    ...happened(cameras, now, false).map(fromEvent),
    ...(audit?.entries.map((entry) => fromAudit(entry, audit, nameOf)) ?? []),
  ].toSorted((a, b) => b.at - a.at);
  const people = [...new Set(lines.flatMap((line) => line.who ?? []))];
  const wanted = lines
    .filter((line) => filter === 'all' || line.filter === filter)
    .filter((line) => !who || line.who === who);
  const shown = gathered(wanted, repeats).slice(0, SHOWN);
  const chips: [Filter, string, EventMark][] = [
    ['all', 'All', null],
    ['gap', 'Gaps', 'none'],
    ['offline', 'Offline', 'dev'],
    ...(audit
      ? ([
          ['signin', 'Sign-ins', null],
          ['watched', 'Watched', null],
          ['other', 'Changes', null],
        ] as [Filter, string, EventMark][])
      : []),
  ];
  return (
    <section class="log" aria-label="What happened">
      <div class="row">
        <h2 class="b grow">What happened</h2>
        <span class="s m3">{audit ? `${AUDIT_DAYS} days` : '24 h'}</span>
      </div>
      <div class="chips" role="group" aria-label="Show">
        {chips.map(([name, words, mark]) => (
          <button
            key={name}
            class="chip"
            aria-pressed={filter === name}
            onClick={() => setFilter(name)}
          >
            {mark && <Mark kind={mark} />}
            {words}
          </button>
        ))}
      </div>
      {people.length > 1 && (
        <select
          class="select"
          aria-label="Whose"
          value={who}
          onChange={(event) => setWho(event.currentTarget.value)}
        >
          <option value="">Everybody</option>
          {people.map((jid) => (
            <option key={jid} value={jid}>
              {jid}
            </option>
          ))}
        </select>
      )}
      {shown.length === 0 && <p class="s m2">Nothing of this happened.</p>}
      <ol>
        {shown.map((line) => (
          <li key={`${line.at} ${line.bold} ${line.text}`}>
            <time dateTime={formatTime(line.at)}>{when(line.at, zone, now)}</time>
            <span>{line.mark && <Mark kind={line.mark} />}</span>
            <span>
              {line.path ? <Link to={line.path}>{line.bold}</Link> : line.bold} {line.text}
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Only looking is repeated all day long. */
const repeats = ({ filter, who, bold, text }: Line): string | null =>
  filter === 'watched' ? `${who} ${bold} ${text}` : null;

const when = (at: number, zone: string | null, now: number): string =>
  at >= dayOf(now, zone).start ? hhmm(at, zone) : dateWords(at, zone, now).replace(/(\w{3})\w*$/, '$1');

function fromEvent(one: Happened): Line {
  const filter = one.kind === 'gap' ? 'gap' : one.kind === 'offline' || one.kind === 'late' ? 'offline' : 'other';
  const path = one.jid ? `${cameraPath(one.jid)}?t=${formatTime(one.at)}` : null;
  return { at: one.at, filter, mark: one.mark, bold: one.name, text: one.text, path, who: null };
}

function fromAudit(entry: AuditEntry, audit: Audit, nameOf: NameOf): Line {
  const { what, who } = entry;
  const filter = SIGN_INS.includes(what) ? 'signin' : WATCHED.includes(what) ? 'watched' : 'other';
  return {
    at: parseTime(entry.time),
    filter,
    mark: null,
    ...said(entry, nameOf, audit.actions),
    path: null,
    who,
  };
}

/** Cameras by their names, storages by their locations'. */
function nameOf(jid: string): string | undefined {
  for (const section of app.room.sections()) {
    if (section.storage === jid) return `${section.title}'s storage`;
    const camera = section.cameras.find((one) => one.jid === jid);
    if (camera) return camera.name;
  }
  return undefined;
}

/** The last days of the audit log; null where there is none to be had. */
function useAudit(): Audit | null {
  const [audit, set] = useState<Audit | null>(null);
  useEffect(() => {
    let alive = true;
    const ask = async (): Promise<void> => {
      const to = app.now();
      const found = await app.api.audit(formatTime(to - AUDIT_DAYS * DAY), formatTime(to));
      if (alive) set(found);
    };
    void ask();
    const timer = setInterval(() => void ask(), 60_000);
    return () => {
      alive = false;
      clearInterval(timer);
    };
  }, []);
  return audit;
}
