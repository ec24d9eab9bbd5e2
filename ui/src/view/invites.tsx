import { useEffect, useState } from 'preact/hooks';
import type { Invitable, Invited } from '../core/api.ts';
import type { Section } from '../core/room.ts';
import { parseTime, span } from '../core/time.ts';
import { app } from './base.tsx';

const LIFE_SECONDS = 900;

/** Devices that a code can be made for now, and the code that was made. */
export function Inviting({ sections, now }: { sections: Section[]; now: number }) {
  const [devices, set] = useState<Invitable[] | null>(null);
  const [made, setMade] = useState<(Invited & { jid: string }) | null>(null);
  const [failed, setFailed] = useState(false);
  const load = async (): Promise<void> => set(await app.api.invitable());
  // Who comes and goes changes who can be invited.
  const here = sections.flatMap(({ cameras }) => cameras.map(({ peer }) => Boolean(peer))).join();
  useEffect(() => void load(), [here]);
  const over = made !== null && parseTime(made.expires) <= now;
  useEffect(() => {
    if (over) setMade(null);
  }, [over]);
  const make = async (jid: string): Promise<void> => {
    const found = await app.api.invite(jid);
    setFailed(found === null);
    setMade(found && { ...found, jid });
  };
  const cancel = async (): Promise<void> => {
    if (made) await app.api.takeBack(made);
    setMade(null);
  };
  if (devices === null) {
    return (
      <p class="s m2">Codes for new devices are made by people who see every location, or on the server.</p>
    );
  }
  return (
    <>
      {failed && (
        <p class="s lost" role="alert">
          No code could be made. Ten in a quarter of an hour are allowed; try again later.
        </p>
      )}
      {devices.length === 0 && (
        <p class="s m2">Every device that is named there is set up.</p>
      )}
      {devices.map(({ jid, role, back }) => (
        <div key={jid} class="ro">
          <span>{named(sections, jid)}</span>
          <span class="s m2">{back ? 'Not connected' : 'Not set up yet'}</span>
          <button class="btn" disabled={made?.jid === jid} onClick={() => void make(jid)}>
            {role === 'storage' ? 'Set up this storage' : 'Set up this camera'}
          </button>
        </div>
      ))}
      {made && !over && <Code made={made} name={named(sections, made.jid)} now={now} cancel={cancel} />}
    </>
  );
}

const named = (sections: Section[], jid: string): string =>
  sections.flatMap(({ cameras }) => cameras).find((camera) => camera.jid === jid)?.name ?? jid;

interface CodeProps {
  made: Invited;
  name: string;
  now: number;
  cancel(): Promise<void>;
}

function Code({ made, name, now, cancel }: CodeProps) {
  const [copied, setCopied] = useState(false);
  const left = Math.max(0, parseTime(made.expires) - now);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(made.command);
    setCopied(true);
  };
  return (
    <section class="invite" aria-label={`Code for ${name}`}>
      <h3 class="h2">Set up {name}</h3>
      <p class="s m2">Type this on the new machine. A phone reads it from the picture.</p>
      <Picture rows={made.picture} />
      <p class="code" aria-label={`Code ${[...made.code].join(' ')}`}>
        {made.code.replace('-', ' – ')}
      </p>
      <p class="s m2 mid" role="timer">
        works once · {span(left)} left
      </p>
      <i class="left" style={{ '--left': left / LIFE_SECONDS }} />
      <code class="command">{made.command}</code>
      <div class="row">
        {'clipboard' in navigator && (
          <button class="btn grow" onClick={() => void copy()}>
            {copied ? 'Copied' : 'Copy'}
          </button>
        )}
        <button class="btn grow" onClick={() => void cancel()}>
          Cancel
        </button>
      </div>
    </section>
  );
}

/** A QR code: dark on light in every theme, with its margin of four, as readers expect it. */
function Picture({ rows }: { rows: string[] }) {
  const size = rows.length + 8;
  const path = rows
    .flatMap((row, y) => [...row.matchAll(/1+/g)].map(({ 0: { length }, index }) => `M${index + 4} ${y + 4}h${length}v1h-${length}z`))
    .join('');
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label="The command below, as a QR code">
      <path d={`M0 0h${size}v${size}h-${size}z`} fill="#fff" />
      <path d={path} fill="#000" shape-rendering="crispEdges" />
    </svg>
  );
}
