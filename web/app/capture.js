// @ts-check
import { useEffect, useRef, useState } from 'preact/hooks';
import { decode, hexText, plainText } from './bytes.js';
import { chunkText, keep, sessionOver, wayOf, ways } from './chunks.js';
import { CopyButton } from './copy.js';
import { useFollow } from './follow.js';
import { bytes, captureCommand, clock, count, plural } from './format.js';
import { cls, html, memo } from './html.js';

/** @typedef {import('./chunks.js').Capture} Capture */

/** The bytes of a session, or of a route's: as they were read and sent, with the faults between them. */
export const CaptureView = memo(
  /** @param {{capture: Capture, live: boolean, api: string, actions: import('./actions.js').Actions}} props */
  ({ capture, live, api, actions }) => {
    const [as, setAs] = useState('text');
    const [hidden, setHidden] = useState(/** @type {string[]} */ ([]));
    const wide = useWide();
    const { box, held, hold, follow, onScroll } = useFollow(capture, [capture.next, as, hidden, wide]);
    const { card, close } = useVisit(box, actions);
    const name = capture.of.session ?? capture.of.route;
    const { pieces, left } = held ?? capture;
    const news = held ? capture.next - held.next : 0;
    const status = capture.over ? `ended: ${capture.over}` : capture.sub === 0 ? 'starting…' : held ? 'paused here' : 'following';
    const flip = (/** @type {string} */ id) => setHidden((h) => (h.includes(id) ? h.filter((x) => x !== id) : [...h, id]));
    const shown = pieces.filter((k) => !hidden.includes(wayOf(k)?.id ?? ''));
    return html`<section class="card bytes" ref=${card} aria-labelledby="bytes-title" onKeyDown=${(/** @type {KeyboardEvent} */ e) => e.key === 'Escape' && close()}>
      <div class="card-head">
        <div class="title"><h2 id="bytes-title">Bytes of ${name}</h2> <span class="n" role="status">${!capture.failed && status}</span></div>
        <span class="acts">
          <${PauseButton} capture=${capture} live=${live} paused=${held !== null} hold=${hold} follow=${follow} actions=${actions} />
          <${CopyButton} text=${captureCommand(capture.of, api)} label="Copy the command that captures all of ${name}">Copy command<//>
          <button type="button" class="quiet" aria-label="Close the bytes of ${name}" onClick=${close}>Close</button>
        </span>
      </div>
      <div class="chips" role="group" aria-label="Which bytes are shown, and how">
        ${ways.map((w) => html`<button type="button" key=${w.id} class="chip" aria-pressed=${!hidden.includes(w.id)} onClick=${() => flip(w.id)}>${w.name}</button>`)}
        <label class="inline">as <select value=${as} onChange=${(/** @type {any} */ e) => setAs(e.target.value)}>
          <option value="text">text</option><option value="hex">hex</option></select></label>
      </div>
      <div class="log-frame">
        <ol class="entries" ref=${box} tabindex="0" role="log" aria-live="off" aria-label="Bytes of ${name}" onScroll=${onScroll}>
          ${capture.failed && html`<li class="empty error" role="alert">${capture.over}</li>`}
          ${!capture.failed && pieces.length === 0 && html`<li class="empty">Nothing yet. What is read from each side and sent to the other is shown here as it passes.</li>`}
          ${left.pieces > 0 && html`<li class="entry"><p class="gap">${plural(left.pieces, 'earlier piece')}, ${bytes(left.bytes)}, left out: the page keeps the last ${bytes(keep.bytes)}</p></li>`}
          ${shown.map((k) => html`<${Entry} key=${k.n} piece=${k} as=${as} wide=${wide} named=${!capture.of.session} />`)}
        </ol>
        ${news > 0 && html`<button type="button" class="pill" onClick=${follow}>${count(news)} new<span aria-hidden="true"> ↓</span></button>`}
      </div>
    </section>`;
  },
);

/** Pause, follow, or watch again what can be. @param {{capture: Capture, live: boolean, paused: boolean, hold: () => void, follow: () => void,
 *   actions: import('./actions.js').Actions}} props */
function PauseButton({ capture, live, paused, hold, follow, actions }) {
  if (capture.over && capture.over !== sessionOver) {
    return html`<button type="button" class="quiet" disabled=${!live} onClick=${() => actions.watch(capture.of)}>Watch again</button>`;
  }
  return html`<button type="button" class="quiet" disabled=${Boolean(capture.over)} onClick=${paused ? follow : hold}>${paused ? 'Follow' : 'Pause'}</button>`;
}

const Entry = memo(
  /** @param {{piece: import('./chunks.js').Piece, as: string, wide: number, named: boolean}} props */
  ({ piece: k, as, wide, named }) => {
    if (k.what === 'lost') return html`<li class="entry"><p class="gap">${chunkText(k)}</p></li>`;
    const way = wayOf(k);
    const text = chunkText(k);
    return html`<li class=${cls('entry', way && k.what !== 'bytes' && k.what, k.what === 'fired' && 'about-fault')}>
      <p class="entry-head"><span class="type">${way ? html`<span aria-hidden="true">${way.arrow} </span>${way.name}` : k.what}</span>
        <span class="subject">${named && `${k.session} `}${way ? text : k.side}</span>
        <time dateTime=${k.time}>${clock(k.time)}</time></p>
      ${k.data ? html`<pre class=${as}>${as === 'hex' ? hexText(decode(k.data), k.offset ?? 0, wide) : plainText(decode(k.data))}</pre>` : !way && html`<p class="entry-text">${text}</p>`}
    </li>`;
  },
);

/** One comes with the focus, and goes back to where one was. @param {any} box @param {import('./actions.js').Actions} actions */
function useVisit(box, actions) {
  const card = useRef(/** @type {any} */ (null));
  const opener = useRef(/** @type {any} */ (document.activeElement));
  useEffect(() => {
    card.current.scrollIntoView({ block: 'nearest' });
    box.current.focus({ preventScroll: true });
  }, []);
  const close = () => {
    actions.unwatch();
    // The row of a session that has closed has nothing more to press.
    const back = opener.current?.isConnected ? opener.current : document.querySelector('[aria-label="Table of sessions"]');
    back?.focus();
  };
  return { card, close };
}

/** How many bytes of hex fit in a line. */
function useWide() {
  const [narrow] = useState(() => matchMedia('(max-width: 640px)'));
  const [wide, setWide] = useState(narrow.matches ? 8 : 16);
  useEffect(() => {
    const measure = () => setWide(narrow.matches ? 8 : 16);
    narrow.addEventListener('change', measure);
    return () => narrow.removeEventListener('change', measure);
  }, [narrow]);
  return wide;
}
