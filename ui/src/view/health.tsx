import type { Camera, CameraState } from '../core/room.ts';
import { cameraState } from '../core/room.ts';
import { summary, trouble } from '../core/words.ts';
import { app, cameraPath, Icon, Link, useNow, usePath, useStore } from './base.tsx';
import { clockWords, recordingWords, spoolWords } from './facts.tsx';
import { StateMark, Tape } from './footage.tsx';
import { Me, Shell, Tabs } from './shell.tsx';

const ORDER: CameraState[] = ['nothing', 'offline', 'spooled', 'late', 'checking', 'stored'];

/** How the cameras are: a sentence, and a row for each, trouble first. */
export function Health() {
  useStore();
  const now = useNow();
  const chosen = usePath().searchParams.get('location');
  const sections = app.room.sections();
  const cameras = sections
    .filter((section) => chosen === null || section.name === chosen)
    .flatMap((section) => section.cameras);
  const rank = (camera: Camera) => ORDER.indexOf(cameraState(camera, now));
  return (
    <Shell
      page="health"
      title="Health"
      header={
        <>
          <h1 class="h2">Health</h1>
          <Tabs sections={sections} chosen={chosen} path="/health" now={now} />
          <span class="grow" />
          <Me />
        </>
      }
    >
      {app.room.welcomed && <Sentence cameras={cameras} now={now} />}
      {cameras.length > 0 && (
        <div class="scroll">
          <table class="ht list">
            <thead>
              <tr>
                <th>Camera</th>
                <th class="hide-m">Last 24 h</th>
                <th class="hide-m">Live</th>
                <th>Stored</th>
                <th class="hide-m">On the device</th>
                <th class="hide-m">Clock</th>
                <th>In plain words</th>
              </tr>
            </thead>
            <tbody>
              {cameras
                .toSorted((a, b) => rank(a) - rank(b))
                .map((camera) => (
                  <Row key={camera.jid} camera={camera} now={now} />
                ))}
            </tbody>
          </table>
        </div>
      )}
    </Shell>
  );
}

function Sentence({ cameras, now }: { cameras: Camera[]; now: number }) {
  const state = summary(cameras, now);
  if (!cameras.length) return <p class="say">No camera yet.</p>;
  if (!app.room.connected) {
    return <p class="say">Connecting again. Recording goes on without this page.</p>;
  }
  const { total, recording, tone, why, number } = state;
  if (tone === 'quiet') {
    return <p class="say">{total === 1 ? 'The camera is' : `All ${total} cameras are`} recording.</p>;
  }
  if (tone === 'checking') return <p class="say">{number}.</p>;
  return (
    <p class="say">
      {recording} of {total} cameras are recording. {why}
    </p>
  );
}

function Row({ camera, now }: { camera: Camera; now: number }) {
  const state = cameraState(camera, now);
  const feed = app.feed(camera.jid);
  return (
    <tr data-jid={camera.jid} data-recording={state}>
      <td>
        <Link to={cameraPath(camera.jid)}>{camera.name}</Link>
      </td>
      <td class="hide-m tape-cell">
        <Tape camera={camera} now={now} tall />
      </td>
      <td class="hide-m">{camera.peer ? (feed.route ?? 'Connected') : 'Offline'}</td>
      <td>
        <span class="row">
          <StateMark state={state} />
          {state === 'offline' ? 'not now' : recordingWords(camera, now).replace('stored, ', '')}
        </span>
      </td>
      <td class="hide-m">{spoolWords(camera)}</td>
      <td class="hide-m">{clockWords(camera)}</td>
      <td class="say2">
        <Plain camera={camera} now={now} />
      </td>
    </tr>
  );
}

/** What the camera itself says comes after what is known to be wrong. */
function Plain({ camera, now }: { camera: Camera; now: number }) {
  const wrong = trouble(camera, now);
  const said = camera.peer ? camera.status?.message : null;
  if (!wrong && !said) {
    const checking = cameraState(camera, now) === 'checking';
    return <span class="m2 hide-m">{checking ? 'Checking' : 'Fine'}</span>;
  }
  return (
    <>
      <span class="care">
        <Icon name="warning" />
      </span>
      {wrong && <b class="b">{wrong} </b>}
      {said && <span class="m2">{said}</span>}
    </>
  );
}
