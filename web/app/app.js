// @ts-check
import { useEffect, useState } from 'preact/hooks';
import { CaptureView } from './capture.js';
import { EventLog } from './events.js';
import { Exchanges } from './exchanges.js';
import { Header } from './header.js';
import { html } from './html.js';
import { RouteCard } from './route.js';
import { Sessions } from './sessions.js';
import { TokenForm } from './tokenform.js';

/**
 * The page. Drawn once a frame at most, however many messages come.
 * @param {{store: import('./store.js').Store, actions: import('./actions.js').Actions,
 *   client: import('./client.js').Client, api: string}} props
 */
export function App({ store, actions, client, api }) {
  const s = useStore(store);
  const live = s.connection.status === 'live';
  const armed = s.routes.reduce((n, r) => n + (r.rules ?? []).filter((x) => x.armed).length, 0);
  useEffect(() => {
    document.title = !live ? 'crimp: not connected' : s.panic ? 'crimp: all off' : armed ? `crimp: ${armed} armed` : 'crimp';
  }, [live, s.panic, armed]);
  if (s.connection.status === 'token') return html`<${TokenForm} detail=${s.connection.detail} client=${client} />`;
  return html`
    <${Header} connection=${s.connection} box=${s.box} panic=${s.panic} armed=${armed} busy=${s.busy.panic}
      failure=${s.failures.panic} actions=${actions} />
    ${s.box === null
      ? html`<main class="waiting"><${Waiting} connection=${s.connection} /></main>`
      : html`<main class=${live ? '' : 'stale'}>
          <div class="work">
            <div class="routes">
              ${s.routes.map((r) => html`<${RouteCard} key=${r.name} route=${r} faults=${s.faults} inForce=${s.inForce} busy=${s.busy}
                failures=${s.failures} blocked=${blocked(s)} live=${live} actions=${actions} api=${api} />`)}
              ${s.routes.length === 0 && html`<${NoRoutes} />`}
            </div>
            <${Sessions} sessions=${s.sessions} routes=${s.routes} busy=${s.busy} failures=${s.failures} live=${live} actions=${actions} />
            ${s.capture && html`<${CaptureView} key=${s.capture.id} capture=${s.capture} live=${live} api=${api} actions=${actions} />`}
            <${Exchanges} exchanges=${s.exchanges} routes=${s.routes} />
          </div>
          <${EventLog} events=${s.events} />
        </main>`}`;
}

/** Why nothing can be armed just now; empty: it can. @param {import('./store.js').State} s */
function blocked(s) {
  if (s.connection.status !== 'live') return 'not connected to the box';
  return s.panic ? 'everything is off until released' : '';
}

/** @param {{connection: import('./store.js').State['connection']}} props */
function Waiting({ connection }) {
  if (connection.status === 'refused') {
    return html`<h1>The box refuses this page</h1><p>${connection.detail}</p>`;
  }
  return html`<h1>Connecting to the box…</h1>
    <p>${connection.detail || 'If this does not change, crimp is not running at this address any more.'}</p>`;
}

function NoRoutes() {
  return html`<section class="card empty">
    <h2>No routes yet</h2>
    <p>A route is a listening address and the upstream it relays to. Add one, then send traffic through it:</p>
    <pre>crimp route add web=127.0.0.1:8080,127.0.0.1:9000,http</pre>
  </section>`;
}

/** @param {import('./store.js').Store} store */
function useStore(store) {
  const [state, setState] = useState(store.state);
  useEffect(() => {
    let frame = 0;
    /** @type {any} */
    let timer = 0;
    const cancel = () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      frame = 0;
    };
    const draw = () => {
      cancel();
      setState(store.state);
    };
    const stop = store.subscribe(() => {
      if (frame) return;
      frame = requestAnimationFrame(draw);
      timer = setTimeout(draw, 250); // a page out of sight gets no frames
    });
    draw();
    return () => {
      stop();
      cancel();
    };
  }, [store]);
  return state;
}
