// @ts-check
import { clock, count, firedText, sentOf } from './format.js';
import { cls, html, memo } from './html.js';
import { Outcome } from './sessions.js';

/** @typedef {import('./store.js').Exchange} Exchange */

const shown = 40;

/** The last requests and what became of their answers, newest first. */
export const Exchanges = memo(
  /** @param {{exchanges: Map<string, Exchange>, routes: import('./store.js').Route[]}} props */
  ({ exchanges, routes }) => {
    const items = [...exchanges.values()].reverse().slice(0, shown);
    const total = routes.reduce((n, r) => n + r.exchanges, 0);
    return html`<section class="card" aria-labelledby="exchanges-title">
      <div class="card-head"><h2 id="exchanges-title">Exchanges <span class="n">${count(total)} so far</span></h2></div>
      ${items.length === 0
        ? html`<p class="empty">Requests and their answers appear here as they pass, with what was sent of what was promised.</p>`
        : html`<div class="scroll tall" tabindex="0" role="region" aria-label="Table of exchanges"><table class="exchanges">
            <thead><tr><th>exchange</th><th>request</th><th class="num">status</th><th class="num">body sent</th><th>end</th><th>what fired</th><th class="num">time</th></tr></thead>
            <tbody>${items.map((i) => html`<${Row} key=${i.id} item=${i} />`)}</tbody>
          </table></div>`}
    </section>`;
  },
);

const Row = memo(/** @param {{item: Exchange}} props */ ({ item }) => html`<tr class=${cls((item.rules ?? []).length > 0 && 'hit')}>
  <th scope="row" data-label="exchange">${item.id}</th>
  <td data-label="request" class="request" title="${item.request.method} ${item.request.target}">
    <code>${item.request.method} ${item.request.target}</code>${item.request.delivered && item.request.delivered !== 'whole' && item.finished
      ? html` <span class="by">request delivered: ${item.request.delivered}</span>` : ''}</td>
  <td data-label="status" class="num">${item.response.status || '–'}</td>
  <td data-label="body sent" class="num">${sentOf(item.response) || '–'}</td>
  <td data-label="end"><${Outcome} outcome=${item.outcome} />${item.response.end && item.response.end !== 'whole' && html` <span class="by">${item.response.end}</span>`}</td>
  <td data-label="what fired" class="fired">${firedText(item.rules)}${(item.odd ?? []).map((o) => html`<span class="by odd">${o}</span>`)}</td>
  <td data-label="time" class="num time">${clock(item.started)}</td>
</tr>`);
