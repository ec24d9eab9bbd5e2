import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { app, go, Logo } from './base.tsx';

/** The address that was typed here last: a new link goes there without typing it again. */
const ADDRESS = 'ucam.address';
const AGAIN_SECONDS = 60;

type Step = 'address' | 'mail' | 'finish' | 'expired' | 'failed';

/** Takes the link's token out of the address bar before anything else can see it. */
export function takeLinkToken(): string | null {
  if (location.pathname !== '/login') return null;
  const token = new URLSearchParams(location.hash.slice(1)).get('t');
  if (location.hash) history.replaceState(null, '', location.pathname);
  return token;
}

export function Login({ linkToken }: { linkToken: string | null }) {
  const [step, setStep] = useState<Step>(linkToken ? 'finish' : 'address');
  const [address, setAddress] = useState(() => localStorage.getItem(ADDRESS) ?? '');
  useEffect(() => {
    document.title = 'Sign in · ucam';
  }, []);
  const send = async (): Promise<void> => {
    const taken = await app.session.requestLink(address);
    if (taken) localStorage.setItem(ADDRESS, address);
    setStep(taken ? 'mail' : 'failed');
  };
  switch (step) {
    case 'address':
      return <Address address={address} change={setAddress} send={send} />;
    case 'mail':
      return <Mail address={address} send={send} back={() => setStep('address')} />;
    case 'finish':
      return <Finish token={linkToken ?? ''} next={setStep} />;
    case 'expired':
      return <Expired address={address} send={send} back={() => setStep('address')} />;
    case 'failed':
      return <Failed back={() => setStep(linkToken ? 'finish' : 'address')} />;
  }
}

function Gate({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <main class="gate">
      <div class="row name">
        <Logo />
        <b>ucam</b>
      </div>
      <span class="above" />
      <h1 class="say">{title}</h1>
      {children}
      <span class="grow" />
      <p class="s m3">
        {location.host}
        <br />
        Runs on your own machine.
      </p>
    </main>
  );
}

interface SendProps {
  address: string;
  send: () => Promise<void>;
}

function Address({ address, change, send }: SendProps & { change: (address: string) => void }) {
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    await send();
  };
  return (
    <Gate title="Sign in">
      <p class="m2">We send a link to your e-mail. No password to remember or to steal.</p>
      <form onSubmit={(event) => void submit(event)}>
        <label class="s b" for="email">
          E-mail
        </label>
        <input
          class="field"
          id="email"
          type="email"
          name="email"
          autocomplete="email"
          autofocus
          required
          value={address}
          onInput={(event) => change(event.currentTarget.value.trim())}
        />
        <button class="btn pri big" type="submit" disabled={busy}>
          Send me a link
        </button>
      </form>
    </Gate>
  );
}

function Mail({ address, send, back }: SendProps & { back: () => void }) {
  const [left, setLeft] = useState(AGAIN_SECONDS);
  useEffect(() => {
    const timer = setInterval(() => setLeft((before) => Math.max(0, before - 1)), 1_000);
    return () => clearInterval(timer);
  }, []);
  const again = async (): Promise<void> => {
    setLeft(AGAIN_SECONDS);
    await send();
  };
  return (
    <Gate title="Check your mail">
      <p class="b ell" title={address}>
        {address}
      </p>
      <p role="status">
        If this address may sign in here, a link is on its way. It works once, and for some minutes
        only.
      </p>
      <button class="btn" disabled={left > 0} onClick={() => void again()}>
        {left > 0 ? `Send again in ${left} s` : 'Send again'}
      </button>
      <button class="link" onClick={back}>
        Use another address
      </button>
    </Gate>
  );
}

function Finish({ token, next }: { token: string; next: (step: Step) => void }) {
  const [busy, setBusy] = useState(false);
  const finish = async (): Promise<void> => {
    setBusy(true);
    const result = await app.session.finish(token);
    if (result !== 'signed-in') next(result);
    else go('/', true);
  };
  return (
    <Gate title="Finish signing in">
      <p>Press the button to sign in on this device. Mail scanners that open links stop here.</p>
      <button class="btn pri big" disabled={busy} onClick={() => void finish()}>
        Sign in
      </button>
      <p class="s m2">Not you who asked for this? Close the page, and nothing happens.</p>
    </Gate>
  );
}

function Expired({ address, send, back }: SendProps & { back: () => void }) {
  return (
    <Gate title="This link has expired">
      <p>Links work once and for some minutes. Nothing is wrong with your account.</p>
      <button class="btn pri big" onClick={() => (address ? void send() : back())}>
        Send a new link
      </button>
      {address && <p class="s m2">We will send it to {address}.</p>}
      {address && (
        <button class="link" onClick={back}>
          Use another address
        </button>
      )}
    </Gate>
  );
}

function Failed({ back }: { back: () => void }) {
  return (
    <Gate title="The server does not answer">
      <p>Your cameras go on recording. Try again in a moment.</p>
      <button class="btn pri big" onClick={back}>
        Try again
      </button>
    </Gate>
  );
}
