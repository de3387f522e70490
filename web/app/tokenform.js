// @ts-check
import { useState } from 'preact/hooks';
import { html } from './html.js';
import { keepToken } from './token.js';

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
      <p>It is in the file that <code>crimp serve</code> was given as <code>--token-file</code>. An address that ends in <code>#token=TOKEN</code> brings it along.</p>
      <label for="token">Token</label>
      <input id="token" type="password" autocomplete="off" spellcheck="false" value=${token} aria-describedby="token-error"
        onInput=${(/** @type {any} */ e) => setToken(e.target.value)} />
      <p id="token-error" class="error" role="alert">${detail}</p>
      <button class="primary" type="submit">Open the dashboard</button>
    </form>
  </main>`;
}
