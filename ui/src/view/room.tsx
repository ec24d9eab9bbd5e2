import { useEffect, useRef, useState } from 'preact/hooks';
import { bare, initials, personName } from '../core/jid.ts';
import { cameraState } from '../core/room.ts';
import { hhmm, parseTime } from '../core/time.ts';
import { trouble } from '../core/words.ts';
import { app, cameraPath, Link, useNow, useStore } from './base.tsx';
import { StateMark } from './footage.tsx';
import { Shell, TitleHeader } from './shell.tsx';

/** Well under the room's 64 KiB a message. */
const TEXT_LIMIT = 4_000;

/** Who is here, and what they say while this page is open. */
export function RoomPage() {
  useStore();
  const now = useNow();
  useEffect(() => {
    app.reading = true;
    app.unread = 0;
    return () => {
      app.reading = false;
    };
  }, []);
  // The roster names the others; whoever reads this is here too.
  const people = new Set([app.room.jid, ...app.room.people().map((peer) => peer.jid)].map(bare));
  const cameras = app.room.sections().flatMap((section) => section.cameras);
  return (
    <Shell
      page="room"
      title="Room"
      header={
        <TitleHeader title="Room" now={now}>
          <span class="m2 hide-m">
            {people.size === 1 ? '1 person' : `${people.size} people`},{' '}
            {cameras.length === 1 ? '1 camera' : `${cameras.length} cameras`}
          </span>
        </TitleHeader>
      }
    >
      <div class="room">
        <div class="talk">
          <Messages />
          <Composer />
        </div>
        <aside class="pres">
          <People jids={[...people]} />
          <h2>Cameras</h2>
          <ul>
            {cameras.map((camera) => (
              <li key={camera.jid}>
                <StateMark state={cameraState(camera, now)} />
                <span class="grow">
                  <Link class="b" to={cameraPath(camera.jid)}>
                    {camera.name}
                  </Link>
                  <br />
                  <span class="s m2">{trouble(camera, now) || 'Fine'}</span>
                </span>
              </li>
            ))}
          </ul>
        </aside>
      </div>
    </Shell>
  );
}

function Messages() {
  const { chats } = app.room;
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => end.current?.scrollIntoView({ block: 'end' }), [chats.length]);
  return (
    <div class="msgs" role="log" aria-label="Messages">
      {chats.length === 0 && (
        <p class="m2">Nothing has been said since you opened this page. Messages are not kept.</p>
      )}
      {chats.map((chat, index) => {
        const from = chat.from ?? '';
        const at = chat.time ? parseTime(chat.time) : null;
        return (
          <div class="msg1" key={index}>
            <span class="av" aria-hidden="true">
              {initials(from)}
            </span>
            <div>
              <header>
                <b>{personName(from)}</b>
                {at !== null && <time dateTime={chat.time}>{hhmm(at, null)}</time>}
              </header>
              <p>{chat.text}</p>
            </div>
          </div>
        );
      })}
      <div ref={end} />
    </div>
  );
}

function Composer() {
  const [text, setText] = useState('');
  const [failed, setFailed] = useState(false);
  const send = (event: Event): void => {
    event.preventDefault();
    const words = text.trim();
    if (!words) return;
    const sent = app.send({ type: 'Chat', text: words });
    setFailed(!sent);
    if (sent) setText('');
  };
  return (
    <>
      {failed && (
        <p class="s lost" role="alert">
          Not sent: the room is not connected. Your words are still here.
        </p>
      )}
      <form class="compose" onSubmit={send}>
        <label class="sr" for="say">
          Message to everyone here
        </label>
        <input
          id="say"
          autocomplete="off"
          maxLength={TEXT_LIMIT}
          placeholder="Write to everyone here"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button class="btn pri" type="submit" disabled={!text.trim()}>
          Send
        </button>
      </form>
    </>
  );
}

function People({ jids }: { jids: string[] }) {
  const me = bare(app.room.jid);
  const cameras = app.room.sections().flatMap((section) => section.cameras);
  const watched = (jid: string): string =>
    cameras
      .filter((camera) => camera.peer && camera.status?.viewers?.some((one) => bare(one) === jid))
      .map((camera) => camera.name)
      .join(', ');
  return (
    <>
      <h2>People</h2>
      <ul>
        {jids.map((jid) => (
          <li key={jid}>
            <span class="av" aria-hidden="true">
              {initials(jid)}
            </span>
            <span class="grow ell">
              <b class="b">{personName(jid)}</b> {jid === me && <span class="m2">you</span>}
              <br />
              <span class="s m2">{watched(jid) ? `watching ${watched(jid)}` : jid}</span>
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}
