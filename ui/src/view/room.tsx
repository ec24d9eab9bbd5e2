import { useEffect, useRef, useState } from 'preact/hooks';
import type { Happened } from '../core/events.ts';
import { fromNoticed } from '../core/events.ts';
import { bare, initials, personName } from '../core/jid.ts';
import type { Camera } from '../core/room.ts';
import { cameraState } from '../core/room.ts';
import { diagnose } from '../core/diagnosis.ts';
import { dayOf, dayWords, hhmm, parseTime } from '../core/time.ts';
import type { Chat } from '../protocol.gen.ts';
import { app, cameraPath, Link, Mark, useNow, useStore } from './base.tsx';
import { StateMark } from './footage.tsx';
import { blinking, Locate } from './locate.tsx';
import { Shell, TitleHeader } from './shell.tsx';

/** Well under the room's 64 KiB a message. */
const TEXT_LIMIT = 4_000;

/** Who is here, what they say, and what the cameras do meanwhile. */
export function RoomPage() {
  useStore();
  const now = useNow();
  const [listed, setListed] = useState(false);
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
  const count = `${people.size === 1 ? '1 person' : `${people.size} people`}, ${
    cameras.length === 1 ? '1 camera' : `${cameras.length} cameras`
  }`;
  return (
    <Shell
      page="room"
      title="Room"
      header={
        <TitleHeader title="Room" now={now}>
          <span class="m2 hide-m">{count}</span>
          <button
            class="m2 only-m counts"
            aria-expanded={listed}
            onClick={() => setListed(!listed)}
          >
            {listed ? 'Messages' : count}
          </button>
        </TitleHeader>
      }
    >
      <div class={listed ? 'room listed' : 'room'}>
        <div class="talk">
          <Messages cameras={cameras} />
          <Composer />
        </div>
        <aside class="pres" aria-label="Who is here">
          <People jids={[...people]} />
          <h2>Cameras</h2>
          <ul>
            {cameras.map((camera) => (
              <CameraLine key={camera.jid} camera={camera} now={now} />
            ))}
          </ul>
        </aside>
      </div>
    </Shell>
  );
}

function CameraLine({ camera, now }: { camera: Camera; now: number }) {
  const { fault, advice } = diagnose(camera, now);
  const left = blinking(camera.jid, now);
  return (
    <li>
      <StateMark state={cameraState(camera, now)} />
      <span class="grow">
        <Link class="b" to={cameraPath(camera.jid)}>
          {camera.name}
        </Link>
        <br />
        <span class="s m2" role={left > 0 ? 'status' : undefined}>
          {left > 0 ? `Blinking, ${left} s left` : fault || advice || 'Fine'}
        </span>
      </span>
      <Locate camera={camera} now={now} />
    </li>
  );
}

interface Said {
  at: number;
  chat: Chat | null;
  event: Happened | null;
}

/** Messages, and what devices did, in the order in which they came. */
function Messages({ cameras }: { cameras: Camera[] }) {
  const { chats, noticed } = app.room;
  const end = useRef<HTMLDivElement>(null);
  const all: Said[] = chats.map((chat) => ({
    at: chat.time ? parseTime(chat.time) : 0,
    chat,
    event: null,
  }));
  for (const one of noticed) {
    const camera = cameras.find(({ jid }) => jid === one.jid);
    if (camera) all.push({ at: one.at, chat: null, event: fromNoticed(one, camera) });
  }
  all.sort((a, b) => a.at - b.at);
  useEffect(() => end.current?.scrollIntoView({ block: 'end' }), [all.length]);
  let day = 0;
  return (
    <div class="msgs" role="log" aria-label="Messages" tabIndex={0}>
      {all.length === 0 && (
        <p class="m2">Nothing has been said here lately. What the cameras do appears here, too.</p>
      )}
      {all.map((one, index) => {
        const { start } = dayOf(one.at, null);
        const other = start !== day && one.at > 0;
        day = start;
        return (
          <>
            {other && (
              <p class="dayline" key={`day ${start}`}>
                {dayWords(one.at, null)}
              </p>
            )}
            {one.chat && <Message key={index} chat={one.chat} />}
            {one.event && <Event key={index} event={one.event} />}
          </>
        );
      })}
      <div ref={end} />
    </div>
  );
}

function Message({ chat }: { chat: Chat }) {
  const from = chat.from ?? '';
  const at = chat.time ? parseTime(chat.time) : null;
  return (
    <div class="msg1">
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
}

function Event({ event }: { event: Happened }) {
  return (
    <p class="ev">
      <span>{event.mark && <Mark kind={event.mark} />}</span>
      <span>
        <b class="b">{event.name}</b> {event.text}
      </span>
    </p>
  );
}

function Composer() {
  const [text, setText] = useState('');
  const [failed, setFailed] = useState(false);
  const send = (event: SubmitEvent): void => {
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
              <i class="here" />
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
