// @ts-check
// The token comes in the fragment, which no server and no log sees, and leaves the
// address bar at once: it must not end up in a bookmark, a screenshot or a history.
// It is kept for this tab alone, so that a reload does not ask again.

import { useState } from 'preact/hooks';
import { html } from './html.js';

const slot = 'crimp.token';

/**
 * @param {{hash: string, pathname: string, search: string}} location
 * @param {{replaceState: (data: any, unused: string, url: string) => void}} history
 * @param {Storage} storage
 * @returns {string} empty: none
 */
export function takeToken(location, history, storage) {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given !== null) {
    history.replaceState(null, '', location.pathname + location.search);
    keepToken(storage, given);
    return given;
  }
  try {
    return storage.getItem(slot) ?? '';
  } catch {
    return ''; // storage is switched off in this browser
  }
}

/** @param {Storage} storage @param {string} token */
function keepToken(storage, token) {
  try {
    storage.setItem(slot, token);
  } catch {
    // The token then lives as long as the page.
  }
}

/** Asks for the token. @param {{detail: string, client: import('./client.js').Client}} props */
export function TokenForm({ detail, client }) {
  const [token, setToken] = useState('');
  const submit = (/** @type {Event} */ e) => {
    e.preventDefault();
    if (!token.trim()) return;
    keepToken(sessionStorage, token.trim());
    client.useToken(token.trim());
  };
  return html`<main class="ask">
    <form onSubmit=${submit}>
      <h1>This box wants a token</h1>
      <p>It is in the file named by <code>--token-file</code>. <code>crimp serve</code> prints an address that carries it.</p>
      <label for="token">Token</label>
      <input id="token" type="password" autocomplete="off" spellcheck="false" value=${token} aria-describedby="token-error"
        onInput=${(/** @type {any} */ e) => setToken(e.target.value)} />
      <p id="token-error" class="error" role="alert">${detail}</p>
      <button class="primary" type="submit">Open the dashboard</button>
    </form>
  </main>`;
}
