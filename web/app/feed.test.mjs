import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newFeed } from './feed.js';
import { Store } from './store.js';

const web = () => ({ name: 'web', rules: [], sessions: 1, exchanges: 0, bytes: { upstream: 0, downstream: 0 } });

/** A client whose answers the test gives. */
function fake(answers) {
  const calls = [];
  return {
    calls,
    call: async (method, params) => {
      calls.push([method, params]);
      const a = answers[method];
      if (a instanceof Error) throw a;
      return typeof a === 'function' ? a(params) : a ?? {};
    },
  };
}
const box = () => fake({
  hello: { version: 'v1', epoch: 'one', seed: 1 },
  subscribe: { sub: 1, seq: 5, state: { seq: 5, epoch: 'one', panic: null, routes: [web()] } },
  'fault.list': { faults: [{ name: 'cut' }] },
  'session.list': { items: [{ id: 'web/1', opened: '2026-01-01T00:00:00Z' }], seq: 6 },
  'exchange.list': { items: [], seq: 6 },
  'event.list': { items: [{ seq: 4, type: 'box.started' }], seq: 6 },
  'state.get': { seq: 7, epoch: 'one', panic: null, routes: [{ ...web(), exchanges: 9 }] },
});

test('opening takes a snapshot, then the lists', async () => {
  const store = new Store();
  const feed = newFeed(store);
  const client = box();
  await feed.open(client);
  feed.stop();
  assert.deepEqual(client.calls.slice(0, 2).map(([m]) => m), ['hello', 'subscribe']);
  const s = store.state;
  assert.deepEqual([s.box.version, s.seq, s.faults.length, s.sessions.size, s.events.length], ['v1', 5, 1, 1, 1]);
});

test('events that come together are taken in together, in order, and before a resync', async () => {
  const store = new Store();
  const feed = newFeed(store);
  await feed.open(box());
  let told = 0;
  store.subscribe(() => told++);
  for (let seq = 6; seq <= 30; seq++) feed.notice('event', { seq, type: 'rule.missed' });
  assert.equal(told, 0);
  await new Promise((r) => setTimeout(r, 60));
  assert.deepEqual([told, store.state.seq], [1, 30]);
  feed.notice('event', { seq: 31, type: 'rule.missed' });
  feed.notice('resync', { state: { seq: 90, epoch: 'one', panic: null, routes: [] } });
  assert.deepEqual([store.state.seq, store.state.routes.length, store.state.events.at(-1).seq], [90, 0, 31]);
  feed.notice('something.newer', {});
  feed.stop();
});

test('where the box left events out, the list of exchanges is asked for too', async () => {
  const store = new Store();
  const feed = newFeed(store);
  const client = box();
  await feed.open(client);
  store.dispatch({ type: 'connection', status: 'live' });
  const asked = () => client.calls.filter(([m]) => m === 'exchange.list').length;
  const tell = async (seq) => {
    feed.notice('event', { seq, type: 'rule.missed' });
    await feed.ask();
    return asked();
  };
  assert.deepEqual([asked(), await tell(6), await tell(7), await tell(9), await tell(10)], [1, 1, 1, 2, 2]);
  assert.ok(client.calls.find(([m]) => m === 'subscribe')[1].rate > 0);
  feed.stop();
});

test('stats and the poll bring counters while somebody looks', async () => {
  const store = new Store();
  let visible = false;
  const feed = newFeed(store, { visible: () => visible });
  const client = box();
  await feed.open(client);
  feed.notice('stats', { routes: [{ name: 'web', sessions: 3, exchanges: 2, bytes: { upstream: 5, downstream: 6 } }] });
  assert.deepEqual([store.state.routes[0].sessions, store.state.routes[0].bytes.downstream], [3, 6]);
  store.dispatch({ type: 'connection', status: 'live' });
  await feed.ask();
  assert.equal(store.state.routes[0].exchanges, 2);
  visible = true;
  await feed.ask();
  assert.equal(store.state.routes[0].exchanges, 9);
  feed.stop();
});
