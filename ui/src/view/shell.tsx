import type { ComponentChildren } from 'preact';
import { useEffect, useId } from 'preact/hooks';
import { initials } from '../core/jid.ts';
import type { Camera, Section } from '../core/room.ts';
import { cameraState } from '../core/room.ts';
import type { Summary } from '../core/words.ts';
import { summary } from '../core/words.ts';
import { app, Checking, Icon, Link, Logo, Mark } from './base.tsx';
import type { IconName } from './icons.ts';

export type Page = 'live' | 'recordings' | 'health' | 'room' | 'settings';

const PAGES: { page: Page; path: string; title: string; icon: IconName; fill: IconName }[] = [
  { page: 'live', path: '/', title: 'Live', icon: 'live', fill: 'liveFill' },
  {
    page: 'recordings',
    path: '/recordings',
    title: 'Recordings',
    icon: 'recordings',
    fill: 'recordingsFill',
  },
  { page: 'health', path: '/health', title: 'Health', icon: 'health', fill: 'healthFill' },
  { page: 'room', path: '/room', title: 'Room', icon: 'room', fill: 'roomFill' },
  { page: 'settings', path: '/settings', title: 'Settings', icon: 'settings', fill: 'settingsFill' },
];

interface ShellProps {
  page: Page;
  title: string;
  header: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}

export function Shell({ page, title, header, children, class: name = '' }: ShellProps) {
  useEffect(() => {
    document.title = `${title} · ucam`;
  }, [title]);
  return (
    <div class={`app ${name}`}>
      <nav class="rail" aria-label="Main">
        <div class="logo">
          <Logo />
        </div>
        {PAGES.map((entry) => (
          <RailLink key={entry.page} {...entry} here={entry.page === page} />
        ))}
      </nav>
      <header class="head">{header}</header>
      <main class="main" id="main" tabIndex={-1} aria-label={title}>
        {children}
      </main>
    </div>
  );
}

type RailLinkProps = (typeof PAGES)[number] & { here: boolean };

function RailLink({ page, path, title, icon, fill, here }: RailLinkProps) {
  const unread = page === 'room' && app.unread > 0 && !here;
  return (
    <Link
      to={path}
      title={title}
      class={`to-${page}${unread ? ' has' : ''}`}
      aria-current={here ? 'page' : undefined}
      aria-label={unread ? `${title}, ${app.unread} new` : title}
    >
      <Icon name={here ? fill : icon} />
      <span>{title}</span>
    </Link>
  );
}

/** The person's round button: who is signed in, and the way out. */
export function Me() {
  const id = useId();
  const jid = app.session.jid ?? '';
  return (
    <>
      <button class="me" popovertarget={id} aria-label={`${initials(jid)}, signed in as ${jid}`}>
        {initials(jid)}
      </button>
      <div class="menu" id={id} popover="auto">
        <p class="s m2">Signed in as</p>
        <p class="b ell">{jid}</p>
        <button class="btn" onClick={() => void app.session.signOut()}>
          Sign out
        </button>
      </div>
    </>
  );
}

function useSummary(now: number): Summary {
  const cameras = app.room.sections().flatMap((section) => section.cameras);
  return summary(cameras, now);
}

/** The number: quiet when all is well, otherwise a box that opens Health. */
function TheNumber({ total, tone, number, why }: Summary) {
  if (!app.room.connected) return <Away />;
  if (total === 0) return null;
  if (tone === 'quiet' || tone === 'checking') {
    return (
      <Link to="/health" class="num">
        {tone === 'quiet' ? <Mark kind="stored" /> : <Checking />}
        <span role="status">{number}</span>
      </Link>
    );
  }
  return (
    <Link to="/health" class={`num loud ${tone}`}>
      <Mark kind={tone === 'lost' ? 'none' : 'dev'} />
      <span class="words" role="status">
        <b>{number}</b>
        <span class="why">{why}</span>
      </span>
    </Link>
  );
}

/** Without the room nobody can tell; what was stored goes on being stored. */
export function Away() {
  if (!app.room.welcomed) {
    return (
      <span class="num" role="status">
        <Checking />
        Connecting
      </span>
    );
  }
  return (
    <span class="num" role="status">
      <Checking />
      Connecting again. Recording goes on without this page.
    </span>
  );
}

const isLoud = ({ tone, total }: Summary): boolean =>
  total > 0 && app.room.connected && (tone === 'care' || tone === 'lost');

/** The number before the tabs when it is loud, at the right when it is quiet; then the person. */
export function Header({ now, children }: { now: number; children?: ComponentChildren }) {
  const state = useSummary(now);
  const loud = isLoud(state);
  return (
    <>
      {loud && <TheNumber {...state} />}
      {children}
      <span class="grow" />
      {!loud && <TheNumber {...state} />}
      <Me />
    </>
  );
}

/** A page's own title, then the number: for the pages that are not about pictures. */
export function TitleHeader({ title, now, children }: HeaderProps) {
  return (
    <>
      <h1 class="h2">{title}</h1>
      {children}
      <span class="grow" />
      <TheNumber {...useSummary(now)} />
      <Me />
    </>
  );
}

interface HeaderProps {
  title: string;
  now: number;
  children?: ComponentChildren;
}

interface TabsProps {
  sections: Section[];
  chosen: string | null;
  path: string;
  now: number;
}

export function Tabs({ sections, chosen, path, now }: TabsProps) {
  if (sections.length < 2) return null;
  return (
    <nav class="tabs" aria-label="Locations">
      <Link to={path} aria-current={chosen === null ? 'true' : undefined}>
        All
      </Link>
      {sections.map((section) => (
        <Link
          key={section.name}
          to={`${path}?location=${encodeURIComponent(section.name)}`}
          aria-current={chosen === section.name ? 'true' : undefined}
        >
          {section.title}
          <SectionMark cameras={section.cameras} now={now} />
        </Link>
      ))}
    </nav>
  );
}

function SectionMark({ cameras, now }: { cameras: Camera[]; now: number }) {
  const states = cameras.map((camera) => cameraState(camera, now));
  if (states.includes('nothing')) {
    return (
      <>
        <Mark kind="none" />
        <span class="sr">records nothing</span>
      </>
    );
  }
  if (!states.some((state) => state === 'offline' || state === 'spooled' || state === 'late')) {
    return null;
  }
  return (
    <>
      <Mark kind="dev" />
      <span class="sr">not all stored</span>
    </>
  );
}
