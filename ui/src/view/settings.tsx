import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { ServerSettings, SignIn } from '../core/api.ts';
import { bare, initials, personName } from '../core/jid.ts';
import type { Way } from '../core/recordings.ts';
import type { Camera, Section } from '../core/room.ts';
import { parseTime, size } from '../core/time.ts';
import { moment, offlineSince } from '../core/words.ts';
import { app, Icon, useNow, useStore } from './base.tsx';
import { versionWords } from './facts.ts';
import { Inviting } from './invites.tsx';
import type { Wish } from './notices.ts';
import { noticeWish, wishNotices } from './notices.ts';
import { Shell, TitleHeader } from './shell.tsx';
import { useWay } from './way.ts';

const PARTS = [
  ['people', 'People'],
  ['sessions', 'Sessions'],
  ['devices', 'Locations & devices'],
  ['invites', 'Tokens & invites'],
  ['storage', 'Storage'],
  ['alerts', 'Alerts'],
  ['about', 'About this server'],
] as const;

/** Who and what there is. What the server's files rule is shown with its file and key. */
export function Settings() {
  useStore();
  const now = useNow();
  const sections = app.room.sections();
  const [settings, setSettings] = useState<ServerSettings | null>(null);
  useEffect(() => void app.api.settings().then(setSettings), []);
  // A link from another page names its part; the browser looked before it was there.
  useEffect(() => document.getElementById(location.hash.slice(1))?.scrollIntoView(), []);
  const here = usePartInView();
  return (
    <Shell page="settings" title="Settings" header={<TitleHeader title="Settings" now={now} />}>
      <div class="set">
        <nav aria-label="Settings">
          {PARTS.map(([id, title]) => (
            <a key={id} href={`#${id}`} aria-current={id === here ? 'true' : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <div class="parts">
          <People settings={settings} />
          <Sessions now={now} />
          <Devices sections={sections} now={now} />
          <Invites sections={sections} now={now} settings={settings} />
          <Storage sections={sections} />
          <Alerts settings={settings} />
          <About />
        </div>
      </div>
    </Shell>
  );
}

/** The part that is read: the last one whose head has come up to the top. */
function usePartInView(): string {
  const [here, set] = useState<string>(PARTS[0][0]);
  useEffect(() => {
    const look = (): void => {
      const main = document.getElementById('main');
      const end = main && main.scrollTop + main.clientHeight >= main.scrollHeight - 2;
      const passed = PARTS.filter(([id]) => {
        const top = document.getElementById(id)?.getBoundingClientRect().top;
        return top !== undefined && top < 160;
      });
      set((end && main.scrollTop > 0 ? PARTS.at(-1) : passed.at(-1))?.[0] ?? PARTS[0][0]);
    };
    // Whichever element scrolls: it differs between wide and narrow windows.
    addEventListener('scroll', look, { capture: true, passive: true });
    return () => removeEventListener('scroll', look, { capture: true });
  }, []);
  return here;
}

interface PartProps {
  id: (typeof PARTS)[number][0];
  children: ComponentChildren;
  locked?: boolean;
}

function Part({ id, children, locked }: PartProps) {
  const title = PARTS.find(([name]) => name === id)?.[1];
  return (
    <section id={id} aria-label={title}>
      <div class="row">
        <h2 class="h2">{title}</h2>
        {locked && (
          <span class="s m2 row">
            <Icon name="lock" />
            You can read these here and change them in the server's files
          </span>
        )}
      </div>
      {children}
    </section>
  );
}

/** A value that a file rules. */
function Fixed({ name, value, source }: { name: string; value: string; source: string }) {
  return (
    <div class="ro">
      <span>{name}</span>
      <b class="b">{value}</b>
      <code>{source}</code>
    </div>
  );
}

const ON_SERVER = 'on the server';
const UNITS: Record<string, string> = { d: 'day', h: 'hour', m: 'minute', s: 'second' };

/** "30d" as the file has it, in words. */
export function lasting(value: string | undefined): string {
  const [, count, unit] = /^(\d+)([dhms])$/.exec(value ?? '') ?? [];
  if (!count || !unit) return value || ON_SERVER;
  return `${count} ${UNITS[unit]}${count === '1' ? '' : 's'}`;
}

function People({ settings }: { settings: ServerSettings | null }) {
  const me = bare(app.room.jid) || app.session.jid || '';
  const here = new Set([me, ...app.room.people().map((peer) => bare(peer.jid))]);
  const jids = [...new Set([me, ...Object.keys(settings?.people ?? {}), ...here])].filter(Boolean);
  const places = (jid: string): string => {
    const seen = settings?.people[jid];
    if (!seen || app.room.locations.length < 2) return '';
    if (seen.length === app.room.locations.length) return 'all locations';
    const titles = app.room.locations.filter(({ name }) => seen.includes(name));
    return titles.map(({ name, title }) => title || name).join(', ') || 'no location';
  };
  return (
    <Part id="people">
      <ul class="who-list">
        {jids.map((jid) => (
          <li key={jid}>
            <span class="av" aria-hidden="true">
              {initials(jid)}
            </span>
            <span class="ell">
              <b class="b">{personName(jid)}</b> {jid === me && <span class="m2">you</span>}
              <br />
              <span class="s m2">{jid}</span>
            </span>
            <span class="s m2 hide-m">{places(jid)}</span>
            <span class="s m2">{here.has(jid) ? 'here now' : 'not here'}</span>
            {jid === me ? (
              <button class="btn" onClick={() => void app.session.signOut()}>
                Sign out
              </button>
            ) : (
              <span />
            )}
          </li>
        ))}
      </ul>
      <Fixed
        name="Who may sign in"
        value={settings ? 'the people above' : ON_SERVER}
        source="web.toml → userauth.allowed-emails"
      />
      <Fixed
        name="A sign-in lasts at most"
        value={lasting(settings?.values['userauth.session-lifetime'])}
        source="web.toml → userauth.session-lifetime"
      />
      <Fixed
        name="A sign-in link works for"
        value={lasting(settings?.values['userauth.link-validity'])}
        source="web.toml → userauth.link-validity"
      />
    </Part>
  );
}

function Sessions({ now }: { now: number }) {
  const [sessions, set] = useState<SignIn[] | null>(null);
  const [failed, setFailed] = useState(false);
  const load = async (): Promise<void> => set(await app.api.sessions());
  useEffect(() => void load(), []);
  const end = async (id: string): Promise<void> => {
    setFailed(!(await app.api.endSession(id)));
    await load();
  };
  const at = (time: string): string => moment(parseTime(time), null, now);
  return (
    <Part id="sessions">
      {sessions === null && (
        <p class="m2 s">
          This browser is signed in as {app.session.jid}. Other browsers are not listed by this
          server.
        </p>
      )}
      {failed && (
        <p class="s lost" role="alert">
          That session could not be ended. Try again.
        </p>
      )}
      <ul class="who-list">
        {(sessions ?? []).map((one) => (
          <li key={one.id}>
            <Icon name={/iPhone|iPad|Android/.test(one.device) ? 'phone' : 'laptop'} />
            <span class="ell">
              <b class="b">{one.device}</b>
              <br />
              <span class="s m2">{one.here ? `this one · ${one.network}` : one.network}</span>
            </span>
            <span class="s m2 hide-m">since {at(one.since)}</span>
            <span class="s m2">{one.here ? 'now' : `seen ${at(one.lastSeen)}`}</span>
            {one.here ? (
              <span />
            ) : (
              <button
                class="btn"
                aria-label={`End the session of ${one.device}, since ${at(one.since)}`}
                onClick={() => void end(one.id)}
              >
                End
              </button>
            )}
          </li>
        ))}
      </ul>
    </Part>
  );
}

function Devices({ sections, now }: { sections: Section[]; now: number }) {
  return (
    <Part id="devices" locked>
      {sections.map((section) => (
        <div key={section.name} class="place">
          <h3 class="b">{section.title}</h3>
          <Fixed
            name="Time zone"
            value={section.zone ?? "this browser's"}
            source={`web.toml → locations.${section.name}.timezone`}
          />
          {section.cameras.map((camera) => (
            <Fixed
              key={camera.jid}
              name={camera.name}
              value={connection(camera, now)}
              source={camera.jid}
            />
          ))}
          <Fixed
            name="Storage"
            value={section.storage ?? 'none'}
            source={`web.toml → locations.${section.name}.storage`}
          />
        </div>
      ))}
    </Part>
  );
}

function connection(camera: Camera, now: number): string {
  if (!camera.peer) return offlineSince(camera, now);
  const version = versionWords(camera);
  return version ? `connected, ${version}` : 'connected';
}

interface InvitesProps {
  sections: Section[];
  now: number;
  settings: ServerSettings | null;
}

function Invites({ sections, now, settings }: InvitesProps) {
  return (
    <Part id="invites">
      <p class="s m2">
        A new camera is named in <code>web.toml</code>, then set up with a code that works once,
        within 15 minutes.
      </p>
      <Inviting sections={sections} now={now} />
      <Command what="The same on the server" command="ucam invite JID --config web.toml" />
      <Command what="A token by hand" command="ucam token JID --config web.toml" />
      <Command what="A token for players" command="ucam token JID --play --config web.toml" />
      <Fixed
        name="A device's token lives"
        value={lasting(settings?.values['deviceauth.token-validity'])}
        source="web.toml → deviceauth.token-validity"
      />
    </Part>
  );
}

function Command({ what, command }: { what: string; command: string }) {
  return (
    <div class="ro">
      <span>{what}</span>
      <code class="command">{command}</code>
      <span />
    </div>
  );
}

function Storage({ sections }: { sections: Section[] }) {
  const storages = sections.filter(({ storage }) => storage !== null);
  return (
    <Part id="storage" locked>
      {storages.length === 0 && <p class="s m2">No location has a storage: nothing is recorded.</p>}
      {storages.map(({ name, title, storage }) => (
        <StorageRows key={name} title={title} jid={storage ?? ''} />
      ))}
    </Part>
  );
}

function StorageRows({ title, jid }: { title: string; jid: string }) {
  const peer = app.room.online(jid);
  const { bytes, maxspace } = peer?.status ?? {};
  const used = typeof bytes === 'number' ? `, ${size(bytes)} used` : '';
  const limit = typeof maxspace === 'number' ? size(maxspace) : 'what the disk has';
  return (
    <div class="place">
      <h3 class="b">{title}</h3>
      <Fixed name="Storage" value={peer ? `connected${used}` : 'not connected'} source={jid} />
      {peer && <Reached jid={jid} https={peer.status?.https} />}
      <Fixed
        name="Keeps at most"
        value={peer ? limit : 'not known now'}
        source="storage.toml → storage.maxspace"
      />
      <Fixed
        name="Leaves free on the disk"
        value="on the storage"
        source="storage.toml → storage.reserve"
      />
    </div>
  );
}

/** How recordings come to this browser, and a shorter way where one is announced. */
function Reached({ jid, https }: { jid: string; https: string | undefined }) {
  const way = useWay(jid);
  const [busy, setBusy] = useState(false);
  const shorten = async (): Promise<void> => {
    setBusy(true);
    await app.tryNear(jid);
    setBusy(false);
  };
  const words: Record<Way, string> = {
    Direct: 'directly, encrypted from end to end',
    Relayed: 'through the relay, encrypted from end to end',
    'In this network': 'within this network, over HTTPS',
  };
  return (
    <div class="ro">
      <span>Recordings reach this browser</span>
      <b class="b">{way ? words[way] : 'when you look at some'}</b>
      {https && way !== 'In this network' ? (
        <button class="btn" disabled={busy} onClick={() => void shorten()}>
          {busy ? 'Trying' : 'Try this network'}
        </button>
      ) : (
        <code>{https ?? ''}</code>
      )}
    </div>
  );
}

function Alerts({ settings }: { settings: ServerSettings | null }) {
  const [wish, setWish] = useState<Wish>(() => noticeWish());
  const change = async (on: boolean): Promise<void> => {
    await wishNotices(on);
    setWish(noticeWish());
  };
  const words: Record<Wish, string> = {
    on: 'You are told here when a camera stops recording, while a tab of this page is open.',
    off: 'This browser can tell you when a camera stops recording, while a tab of this page is open.',
    refused: 'Notices of this site are refused in this browser. Allow them in its site settings.',
    none: 'This browser shows no notices of this site: they need https, and a window that is not private.',
  };
  return (
    <Part id="alerts">
      <div class="ro">
        <span>On this device</span>
        <span class="s m2">{words[wish]}</span>
        {(wish === 'on' || wish === 'off') && (
          <button class="btn" aria-pressed={wish === 'on'} onClick={() => void change(wish === 'off')}>
            {wish === 'on' ? 'Stop telling me' : 'Tell me'}
          </button>
        )}
      </div>
      <Fixed
        name="Mails go to"
        value={settings ? settings.values['alerts.emails'] || 'nobody' : ON_SERVER}
        source="web.toml → alerts.emails"
      />
      <Fixed
        name="When it has lasted"
        value={lasting(settings?.values['alerts.after'])}
        source="web.toml → alerts.after"
      />
    </Part>
  );
}

function About() {
  const [version, set] = useState('');
  useEffect(() => {
    void app.api.version().then((found) => set(found ?? 'not known'));
  }, []);
  return (
    <Part id="about">
      <Fixed name="Version" value={version} source={location.host} />
      <Fixed name="Web address" value={location.host} source="web.toml → http.public-url" />
      <Fixed
        name="Relay when Direct fails"
        value={app.room.iceServers.some(({ urls }) => urls.some((url) => url.startsWith('turn')))
          ? 'on'
          : 'none'}
        source="web.toml → ice.turn"
      />
      <p class="s m2">
        <a href="/assets/licences.txt">Licences</a>
      </p>
    </Part>
  );
}
