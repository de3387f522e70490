// @ts-check
import { useEffect, useState } from 'preact/hooks';
import { bytes, count, duration } from './format.js';
import { cls, html, memo } from './html.js';
import { Mistakes } from './mistakes.js';

/** @typedef {import('./store.js').Session} Session */

const shown = 200; // rows; the box has them all

/** Who is connected, and what can be done to them by hand. */
export const Sessions = memo(
  /**
   * @param {{sessions: Map<string, Session>, routes: import('./store.js').Route[], busy: Record<string, string>,
   *   failures: Record<string, import('./store.js').Failure>, live: boolean, actions: import('./actions.js').Actions}} props
   */
  ({ sessions, routes, busy, failures, live, actions }) => {
    const now = useNow(1000);
    const [side, setSide] = useState('both');
    const total = routes.reduce((n, r) => n + r.sessions, 0);
    const items = [...sessions.values()].slice(0, shown);
    return html`<section class="card" aria-labelledby="sessions-title">
      <div class="card-head">
        <h2 id="sessions-title">Sessions <span class="n">${count(total)} live</span></h2>
        ${items.some((i) => !i.closed) && html`<label class="inline">act on
          <select value=${side} onChange=${(/** @type {any} */ e) => setSide(e.target.value)}>
            <option value="both">both sides</option><option value="client">the client's side</option><option value="server">the server's side</option>
          </select></label>`}
      </div>
      ${items.length === 0
        ? html`<${Nobody} routes=${routes} />`
        : html`<div class="scroll" tabindex="0" role="region" aria-label="Table of sessions"><table class="sessions">
            <thead><tr><th>session</th><th>client</th><th>protocol</th><th class="num">up</th><th class="num">down</th>
              <th class="num">exchanges</th><th>outcome</th><th class="num">age</th><th><span class="hidden">act</span></th></tr></thead>
            <tbody>${items.map((i) => html`<${Row} key=${i.id} item=${i} age=${ageOf(i, now)} side=${side} busy=${busy[`session ${i.id}`]}
              failure=${failures[`session ${i.id}`]} live=${live} actions=${actions} />`)}</tbody>
          </table></div>`}
      ${total > items.length && sessions.size > shown && html`<p class="note">The first ${count(shown)} are shown: <code>crimp sessions</code> lists all.</p>`}
    </section>`;
  },
);

const Row = memo(
  /**
   * @param {{item: Session, age: string, side: string, busy?: string, failure?: import('./store.js').Failure, live: boolean,
   *   actions: import('./actions.js').Actions}} props
   */
  ({ item, age, side, busy, failure, live, actions }) => {
    const button = (/** @type {string} */ act) => html`<button type="button" class=${cls('quiet', 'act', act)} key=${act} aria-label="${act} ${item.id}"
      disabled=${!live || Boolean(busy)} aria-busy=${busy === act} onClick=${() => actions.act(item.id, act, side)}>${act}</button>`;
    return html`<tr class=${cls(item.closed && 'closed')}>
      <th scope="row" data-label="session">${item.id}</th>
      <td data-label="client"><${Address} text=${item.client} /></td>
      <td data-label="protocol">${item.protocol}</td>
      <td data-label="up" class="num">${bytes(item.bytes?.upstream)}</td>
      <td data-label="down" class="num">${bytes(item.bytes?.downstream)}</td>
      <td data-label="exchanges" class="num">${count(item.exchanges)}</td>
      <td data-label="outcome"><${Outcome} outcome=${item.outcome} /> ${(item.rules ?? []).length > 0 && html`<span class="by">${item.rules?.join(', ')}</span>`}${(item.odd ?? []).map((o) => html`<span class="by odd">${o}</span>`)}</td>
      <td data-label="age" class="num">${age}</td>
      <td class="acts-cell">${item.closed
        ? html`<span class="ended">${endedText(item)}</span>`
        : html`<span class="acts">${['rst', 'close', 'fin'].map(button)}${button(item.outcome === 'stalled' ? 'resume' : 'stall')}
            <button type="button" class="quiet act" aria-label="watch the bytes of ${item.id}" disabled=${!live} onClick=${() => actions.watch({ session: item.id })}>watch</button></span>`}
        ${failure && html`<div class="error" role="alert"><${Mistakes} of=${failure} /></div>`}</td>
    </tr>`;
  },
);

/** What came of it, by word, shape and colour. @param {{outcome: string}} props */
export function Outcome({ outcome }) {
  return html`<span class=${cls('outcome', outcome)}><span class="shape" aria-hidden="true"></span>${outcome}</span>`;
}

/** An address that breaks before its port rather than within a number. @param {{text: string}} props */
function Address({ text }) {
  const port = text.lastIndexOf(':');
  return html`<code>${text.slice(0, port)}<wbr />${text.slice(port)}</code>`;
}

/** @param {Session} item */
function endedText(item) {
  if (!item.ended) return item.cause ?? 'closed';
  return `client ${item.ended.client || '–'}, server ${item.ended.server || '–'}`;
}

/** @param {Session} item @param {number} now */
function ageOf(item, now) {
  return duration((item.closed ? Date.parse(item.closed) : now) - Date.parse(item.opened));
}

/** Nobody is connected: what to do about it. @param {{routes: import('./store.js').Route[]}} props */
function Nobody({ routes }) {
  const route = routes.find((r) => r.protocol !== 'tcp');
  return html`<div class="empty">
    <p>No session is open. Send something through a route and it shows up here:</p>
    ${route ? html`<pre>curl http://${route.listen}/</pre>` : routes[0] && html`<pre>nc ${routes[0].listen.replace(/:(\d+)$/, ' $1')}</pre>`}
  </div>`;
}

/** The time, every so often. @param {number} every ms */
function useNow(every) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
