// @ts-check
import { useState } from 'preact/hooks';
import { useFollow } from './follow.js';
import { clock, count, describe, plural, topic } from './format.js';
import { cls, html, memo } from './html.js';
import { rows } from './log.js';

/** @typedef {import('./store.js').Event} Event */

const topics = ['fault', 'rule', 'session', 'exchange', 'route', 'control', 'box'];
const shown = 300;

/** What happened, in the box's order. Follows the end until one scrolls away from it. */
export const EventLog = memo(
  /** @param {{events: Event[]}} props */
  ({ events }) => {
    // Exchanges have a table of their own; under load they would drown the rest.
    const [hidden, setHidden] = useState(/** @type {string[]} */ (['exchange']));
    const wanted = rows(events, hidden);
    const last = wanted.length ? wanted[wanted.length - 1].event.seq : 0;
    const { box, held: leftAt, follow, onScroll } = useFollow(last, [last, hidden]); // the seq at which one scrolled away
    // While one reads further up, nothing is taken away from under the eyes.
    const items = leftAt === null ? wanted.slice(-shown) : wanted;
    const news = leftAt === null ? 0 : items.filter((r) => r.event.seq > leftAt).length;

    const flip = (/** @type {string} */ t) => setHidden((h) => (h.includes(t) ? h.filter((x) => x !== t) : [...h, t]));

    return html`<aside class="card log" aria-labelledby="events-title">
      <div class="card-head"><h2 id="events-title">Events</h2>
        <span class="n">${leftAt === null ? 'following' : 'paused here'}</span></div>
      <div class="chips" role="group" aria-label="Which events are shown">
        ${topics.map((t) => html`<button type="button" key=${t} class="chip" aria-pressed=${!hidden.includes(t)} onClick=${() => flip(t)}>${t}</button>`)}
      </div>
      <div class="log-frame">
        <ol class="entries" ref=${box} tabindex="0" role="log" aria-live="off" aria-label="Events" onScroll=${onScroll}>
          ${items.length === 0 && html`<li class="empty">Nothing yet. Arm a fault, send a request, and what happens to it is told here.</li>`}
          ${items.map((r) => html`<${Entry} key=${r.event.seq} event=${r.event} missed=${r.missed} />`)}
        </ol>
        ${news > 0 && html`<button type="button" class="pill" onClick=${follow}>${count(news)} new<span aria-hidden="true"> ↓</span></button>`}
      </div>
    </aside>`;
  },
);

const Entry = memo(/** @param {{event: Event, missed: number}} props */ ({ event: e, missed }) => html`<li class=${cls('entry', `about-${topic(e.type)}`, e.type.replace('.', '-'))}>
  ${missed > 0 && html`<p class="gap">${plural(missed, 'event')} before this one came too fast for the page: <code>crimp events --since ${e.seq - missed}</code></p>`}
  <p class="entry-head"><span class="type">${e.type}</span> <span class="subject">${subject(e)}</span>
    <time dateTime=${e.time} title="seq ${e.seq}">${clock(e.time)}</time></p>
  <p class="entry-text">${describe(e)}</p>
</li>`);

/** What it is about: the narrowest thing that is named. @param {Event} e */
function subject(e) {
  const where = e.exchange || e.session || e.route || '';
  return e.rule ? `${e.rule} ${where && (e.exchange || e.session) ? `on ${where}` : ''}` : where;
}
