// @ts-check
import { html } from './html.js';

/** @typedef {import('./store.js').Mistake} Mistake */

/** What a call was refused for: a sentence, or a list where it had several mistakes.
 * @param {{of: import('./store.js').Failure}} props */
export function Mistakes({ of }) {
  return of.more.length ? html`<${MistakeList} of=${[of, ...of.more]} />` : of.message;
}

/** Mistakes, each with the field it is about. @param {{of: Mistake[]}} props */
export function MistakeList({ of }) {
  return html`<ul class="mistakes">${of.map((m) => html`<li>${m.field && html`<code>${m.field}</code>: `}${m.message}</li>`)}</ul>`;
}
