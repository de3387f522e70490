// @ts-check
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { clock, duration, plural } from './format.js';
import { cls, html } from './html.js';
import { Mistakes } from './mistakes.js';

const words = {
  connecting: 'connecting',
  live: 'live',
  reconnecting: 'reconnecting',
  refused: 'refused',
  token: 'token needed',
};

/**
 * Name, connection, box, and the button that is never out of sight.
 * @param {{connection: import('./store.js').State['connection'], box: import('./store.js').State['box'],
 *   panic: import('./store.js').Panic|null, armed: number, busy?: string,
 *   failure?: import('./store.js').Failure, actions: import('./actions.js').Actions}} props
 */
export function Header({ connection, box, panic, armed, busy, failure, actions }) {
  const live = connection.status === 'live';
  const top = useRef(/** @type {any} */ (null));
  // Banners come and go: what sticks below the header has to know how high it is.
  useLayoutEffect(() => {
    const measure = () => document.documentElement.style.setProperty('--top', `${top.current.offsetHeight}px`);
    const observer = new ResizeObserver(measure);
    observer.observe(top.current);
    measure();
    return () => observer.disconnect();
  }, []);
  return html`<header class="top" ref=${top}>
    <div class="bar">
      <div class="brand"><${Mark} /><h1>crimp</h1></div>
      <p class=${cls('connection', connection.status)} role="status"><span class="dot" aria-hidden="true"></span>${words[connection.status]}</p>
      ${box && html`<dl class="facts">
        <div><dt>version</dt><dd>${box.version || 'unknown'}</dd></div>
        <div><dt>seed</dt><dd>${box.seed}</dd></div>
      </dl>`}
      <p class=${cls('armed-count', armed > 0 && 'some')}>${armed ? `${plural(armed, 'rule')} armed` : 'nothing armed: relaying untouched'}</p>
      <${PanicButton} panic=${panic} busy=${busy} live=${live} actions=${actions} />
    </div>
    ${box !== null && !live && html`<${StaleBanner} connection=${connection} />`}
    ${panic && html`<${PanicBanner} panic=${panic} busy=${busy} live=${live} actions=${actions} />`}
    ${failure && html`<div class="banner fail" role="alert"><div><b>Failed:</b> <${Mistakes} of=${failure} /></div>
      <button class="quiet" onClick=${() => actions.forgive('panic')}>Dismiss</button></div>`}
  </header>`;
}

/** A pinched line. */
function Mark() {
  return html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path d="M2 10h9c4 0 3 6 5 6s1-6 5-6h9M2 22h9c4 0 3-6 5-6s1 6 5 6h9" /></svg>`;
}

/** @param {{panic: any, busy?: string, live: boolean, actions: import('./actions.js').Actions}} props */
function PanicButton({ panic, busy, live, actions }) {
  const [primed, setPrimed] = useState(false);
  const first = useRef(-Infinity); // when 0 was pressed, if it waits for a second press
  useEffect(() => {
    /** @type {any} */
    let timer;
    /** @param {KeyboardEvent} e */
    const onKey = (e) => {
      if (e.key !== '0' || e.repeat || e.ctrlKey || e.metaKey || e.altKey || isTyping(e.target)) return;
      const twice = e.timeStamp - first.current < 1000;
      first.current = twice ? -Infinity : e.timeStamp;
      setPrimed(!twice);
      clearTimeout(timer);
      if (twice) actions.panic('0 pressed twice');
      else timer = setTimeout(() => setPrimed(false), 1000);
    };
    document.addEventListener('keydown', onKey);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('keydown', onKey);
    };
  }, [actions]);
  const off = Boolean(panic);
  return html`<button class=${cls('panic', primed && 'primed')} disabled=${off || !live} aria-busy=${busy === 'stopping'}
    title="Disarms every rule on every route and refuses arming (or press 0 twice)" onClick=${() => actions.panic('the button on the page')}>
    <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d="M5 1h6l4 4v6l-4 4H5l-4-4V5z" /></svg>
    ${primed ? 'Press 0 again' : busy === 'stopping' ? 'Stopping…' : off ? 'All off' : 'Panic'}
  </button>`;
}

/** @param {EventTarget|null} target */
function isTyping(target) {
  const e = /** @type {HTMLElement|null} */ (target);
  return Boolean(e?.closest?.('input, textarea, select, [contenteditable]'));
}

/** @param {{panic: import('./store.js').Panic, busy?: string, live: boolean, actions: import('./actions.js').Actions}} props */
function PanicBanner({ panic, busy, live, actions }) {
  return html`<div class="banner off" role="alert">
    <span><b>Everything is off</b> and arming is refused. ${panic.who && `By ${panic.who}`}${panic.why && `, “${panic.why}”`}${' '}
      at <time dateTime=${panic.when}>${clock(panic.when).slice(0, 8)}</time>.</span>
    <span class="acts">
      <button disabled=${!live || Boolean(busy)} onClick=${() => actions.release(false)}>Release</button>
      <button disabled=${!live || Boolean(busy)} onClick=${() => actions.release(true)}>Release and re-arm</button>
    </span>
  </div>`;
}

/** @param {{connection: import('./store.js').State['connection']}} props */
function StaleBanner({ connection }) {
  const [now, setNow] = useState(Date.now());
  const since = useRef(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return html`<p class="banner gone">
    <span><b role="alert">The box does not answer.</b> What you see is ${duration(Math.max(now - since.current, 1000))} old.
    The page goes on by itself as soon as it is back.${connection.detail && ` (${connection.detail})`}</span></p>`;
}
