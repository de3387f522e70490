// @ts-check
// Keeps the store in step with the box: a snapshot and the events after it come by
// themselves; the lists are fetched; what no event tells (bytes so far, near
// misses) is asked for every other second while somebody looks. Under load the box
// leaves events out (rate), so that its answers never queue behind what nobody can
// read: then the list of exchanges is asked for too.

const topics = ['session', 'exchange', 'rule', 'fault', 'route', 'control', 'box', 'stats'];
const rate = 100; // events of traffic a second: more than one can read
const askEvery = 2000; // ms
const batchFor = 40; // ms: events that come together are taken in together
const drawBytesEvery = 100; // ms: lines of text are what costs most to draw
const list = { sessions: 200, exchanges: 100, events: 300 };

/**
 * @param {import('./store.js').Store} store
 * @param {{visible?: () => boolean}} [o]
 */
export function newFeed(store, o = {}) {
  const visible = o.visible ?? (() => true);
  /** @type {any[]} */
  let batch = [];
  /** @type {{sub: number, chunks: any[]}[]} */
  let notes = []; // of captures
  /** @type {any} */
  let drawing = null;
  /** @type {any} */
  let flushing = null;
  /** @type {any} */
  let refetching = null;
  /** @type {import('./client.js').Client|null} */
  let client = null;
  let missed = false; // events, since the lists were asked for

  function flush() {
    clearTimeout(flushing);
    flushing = null;
    if (!batch.length) return;
    const events = batch;
    batch = [];
    missed ||= events[events.length - 1].seq > store.state.seq + events.length;
    store.dispatch({ type: 'events', events });
  }

  /** A snapshot makes what came before it old news, but for the log. @param {any} state */
  function snapshot(state) {
    flush();
    store.dispatch({ type: 'snapshot', state });
  }

  async function fetchLists() {
    if (!client) return;
    const [sessions, exchanges, events] = await Promise.all([
      client.call('session.list', { limit: list.sessions }),
      client.call('exchange.list', { limit: list.exchanges }),
      client.call('event.list', { limit: list.events }),
    ]);
    flush();
    store.dispatch({ type: 'sessions', items: sessions.items ?? [], seq: sessions.seq });
    store.dispatch({ type: 'exchanges', items: exchanges.items ?? [], seq: exchanges.seq });
    store.dispatch({ type: 'history', items: events.items ?? [] });
  }

  /** Before the connection counts as live. @param {import('./client.js').Client} c */
  async function open(c) {
    client = c;
    store.dispatch({ type: 'hello', box: await c.call('hello', { client: 'dashboard' }) });
    const subscribed = await c.call('subscribe', { topics, rate });
    snapshot(subscribed.state);
    const catalogue = await c.call('fault.list');
    store.dispatch({ type: 'faults', faults: catalogue.faults ?? [] });
    await fetchLists();
  }

  /** @param {string} method @param {any} params */
  function notice(method, params) {
    switch (method) {
      case 'event':
        batch.push(params);
        flushing ??= setTimeout(flush, batchFor);
        break;
      case 'stats':
        store.dispatch({ type: 'stats', routes: statsByRoute(params.routes) });
        break;
      case 'capture':
        notes.push(params);
        drawing ??= setTimeout(takeNotes, drawBytesEvery);
        break;
      case 'resync':
        snapshot(params.state);
        // Behind once is likely behind again: fetch the lists when it has calmed down.
        clearTimeout(refetching);
        refetching = setTimeout(() => fetchLists().catch(() => {}), 500);
        break;
      default: // a newer box may say more: additive inside v1
    }
  }

  /** What a capture shows. That of one session is over with it, but the box would wait for more. */
  function takeNotes() {
    const all = notes;
    notes = [];
    drawing = null;
    for (const { sub, chunks = [] } of all) {
      const before = store.state.capture;
      store.dispatch({ type: 'chunks', sub, chunks });
      const now = store.state.capture;
      if (before !== now && now?.over) client?.call('unsubscribe', { sub }).catch(() => {});
    }
  }

  async function ask() {
    const s = store.state;
    if (!client || s.connection.status !== 'live' || !visible()) return;
    try {
      const state = await client.call('state.get');
      flush();
      store.dispatch({ type: 'counters', state });
      if (store.state.routes.some((r) => r.sessions > 0) || [...store.state.sessions.values()].some((i) => !i.closed)) {
        const sessions = await client.call('session.list', { limit: list.sessions });
        flush();
        store.dispatch({ type: 'sessions', items: sessions.items ?? [], seq: sessions.seq });
      }
      if (missed) {
        missed = false;
        const exchanges = await client.call('exchange.list', { limit: list.exchanges });
        flush();
        store.dispatch({ type: 'exchanges', items: exchanges.items ?? [], seq: exchanges.seq });
      }
    } catch {
      // The connection's own state says what is wrong.
    }
  }

  const timer = setInterval(ask, askEvery);
  return { open, notice, ask, stop: () => clearInterval(timer) };
}

/** The counters that stats carries, by route's name. @param {any[]} [routes] */
export function statsByRoute(routes = []) {
  return Object.fromEntries(routes.map((r) => [r.name, r]));
}
