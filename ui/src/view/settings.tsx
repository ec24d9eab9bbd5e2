import type { Camera, Section } from '../core/room.ts';
import { size } from '../core/time.ts';
import { offlineSince } from '../core/words.ts';
import { app, useNow, useStore } from './base.tsx';
import { Shell, TitleHeader } from './shell.tsx';

/** Who is signed in, and what the server's files say about locations and devices. */
export function Settings() {
  useStore();
  const now = useNow();
  const sections = app.room.sections();
  return (
    <Shell page="settings" title="Settings" header={<TitleHeader title="Settings" now={now} />}>
      <div class="set">
        <section>
          <h2 class="h2">You</h2>
          <div class="ro">
            <span>Signed in as</span>
            <b class="b ell">{app.session.jid}</b>
            <button class="btn" onClick={() => void app.session.signOut()}>
              Sign out
            </button>
          </div>
        </section>
        {sections.map((section) => (
          <LocationRows key={section.name} section={section} now={now} />
        ))}
        <p class="s m2">
          Locations, devices and people are set in the server's file <code>web.toml</code>.
        </p>
      </div>
    </Shell>
  );
}

function LocationRows({ section, now }: { section: Section; now: number }) {
  return (
    <section>
      <h2 class="h2">{section.title}</h2>
      <div class="ro">
        <span>Time zone</span>
        <b class="b">{section.zone ?? "this browser's"}</b>
        <code>web.toml → locations.{section.name}.timezone</code>
      </div>
      {section.cameras.map((camera) => (
        <div class="ro" key={camera.jid}>
          <span>{camera.name}</span>
          <b class="b">{connection(camera, now)}</b>
          <code>{camera.jid}</code>
        </div>
      ))}
      {section.storage && <StorageRow jid={section.storage} />}
    </section>
  );
}

function connection(camera: Camera, now: number): string {
  return camera.peer ? 'connected' : offlineSince(camera, now);
}

function StorageRow({ jid }: { jid: string }) {
  const peer = app.room.online(jid);
  const { bytes, maxspace } = peer?.status ?? {};
  const used = typeof bytes === 'number' ? `, ${size(bytes)} used` : '';
  const of = used && typeof maxspace === 'number' ? ` of ${size(maxspace)}` : '';
  return (
    <div class="ro">
      <span>Storage</span>
      <b class="b">{peer ? `connected${used}${of}` : 'not connected'}</b>
      <code>{jid}</code>
    </div>
  );
}
