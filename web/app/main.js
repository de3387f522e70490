// @ts-check
// Wiring: token, client, store, feed, page. Read this first.
import { render } from 'preact';
import { newActions } from './actions.js';
import { App } from './app.js';
import { Client } from './client.js';
import { newFeed } from './feed.js';
import { html } from './html.js';
import { Store } from './store.js';
import { takeToken } from './token.js';

const store = new Store();
const feed = newFeed(store, { visible: () => document.visibilityState === 'visible' });
const here = new URL('.', location.href);
const socketURL = new URL('v1/ws', here);
socketURL.protocol = here.protocol === 'https:' ? 'wss:' : 'ws:';

const client = new Client({
  url: socketURL.href,
  probe: new URL('v1/rpc', here).href,
  token: takeToken(location, history, sessionStorage),
  onOpen: feed.open,
  onNotice: feed.notice,
  onStatus: (status, detail) => store.dispatch({ type: 'connection', status, detail, since: Date.now() }),
});

const status = document.createElement('p');
status.className = 'hidden';
status.setAttribute('role', 'status');
document.body.append(status);

const actions = newActions(client, store, (text) => {
  status.textContent = text;
});

render(html`<${App} store=${store} actions=${actions} client=${client} api=${location.origin} />`, /** @type {HTMLElement} */ (document.getElementById('page')));
client.start();

document.addEventListener('visibilitychange', () => {
  if (document.visibilityState !== 'visible') return;
  client.hurry();
  feed.ask();
});
window.addEventListener('online', () => client.hurry());
