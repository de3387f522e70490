import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initial, keep, reduce, Store } from './store.js';

const rule = (name, over = {}) => ({ name, fault: name, route: 'web', armed: false, summary: name, rev: 1, hits: 0, spent: false, ...over });
const route = (name, over = {}) => ({
  name, listen: '127.0.0.1:1', upstream: '127.0.0.1:2', protocol: 'http', mode: 'forward', rev: 1, rules: [], sessions: 0, sessions_total: 0,
  failed: 0, exchanges: 0, bytes: { upstream: 0, downstream: 0 }, ...over,
});
const session = (id, over = {}) => ({ id, route: 'web', client: 'c', upstream: 'u', protocol: 'http', opened: '2026-01-01T00:00:00Z',
  bytes: { upstream: 0, downstream: 0 }, exchanges: 0, outcome: 'open', ...over });
const exchange = (id, over = {}) => ({ id, route: 'web', session: 'web/1', started: '2026-01-01T00:00:00Z', request: { method: 'GET', target: '/' },
  response: { status: 0, declared: null, sent: 0, end: '' }, outcome: 'open', ...over });
const event = (seq, type, over = {}) => ({ seq, type, time: '2026-01-01T00:00:01Z', route: 'web', ...over });

/** Plays actions onto a fresh page that has a snapshot at seq 10. */
function play(...actions) {
  const start = { type: 'snapshot', state: { seq: 10, epoch: 'one', panic: null, routes: [route('web', { rules: [rule('cut')] })] } };
  return [start, ...actions].reduce(reduce, initial);
}
const told = (...events) => ({ type: 'events', events });
const ruleNow = (s, name) => s.routes[0].rules.find((r) => r.name === name);

test('an event acts once, and not at all if the snapshot has it already', () => {
  const fired = event(11, 'fault.fired', { rule: 'cut' });
  const s = play(told(event(10, 'fault.fired', { rule: 'cut' }), fired), told(fired));
  assert.equal(ruleNow(s, 'cut').hits, 1);
  assert.deepEqual(s.events.map((e) => e.seq), [10, 11]);
  assert.equal(s.seq, 11);
});

test('a rule is armed, replaced, made and removed by its events', () => {
  let s = play(told(event(11, 'rule.armed', { rule: 'cut', data: { rule: rule('cut', { armed: true, rev: 2 }), sessions: 3 } })));
  assert.equal(ruleNow(s, 'cut').armed, true);
  assert.equal(s.inForce['web/cut'], 3);
  s = reduce(s, told(event(12, 'rule.armed', { rule: 'new', data: { rule: rule('new', { armed: true }) } })));
  assert.deepEqual(s.routes[0].rules.map((r) => r.name), ['cut', 'new']);
  s = reduce(s, told(event(13, 'rule.disarmed', { rule: 'cut', data: { rule: rule('cut'), removed: true } })));
  assert.deepEqual(s.routes[0].rules.map((r) => r.name), ['new']);
});

test('on how many sessions a rule is in force is forgotten when sessions come or go', () => {
  const armed = event(11, 'rule.armed', { rule: 'cut', data: { rule: rule('cut', { armed: true }), sessions: 3 } });
  assert.deepEqual(play(told(armed, event(12, 'session.closed', { route: 'db', data: session('db/1') }))).inForce, { 'web/cut': 3 });
  assert.deepEqual(play(told(armed, event(12, 'session.closed', { data: session('web/1') }))).inForce, {});
});

test('sessions and their counters follow events', () => {
  let s = play(told(event(11, 'session.opened', { session: 'web/1', data: session('web/1') })));
  assert.equal(s.routes[0].sessions, 1);
  s = reduce(s, told(event(12, 'session.closed', { session: 'web/1', data: session('web/1', { outcome: 'rst' }) })));
  assert.equal(s.routes[0].sessions, 0);
  assert.equal(s.sessions.get('web/1').outcome, 'rst');
  assert.ok(s.sessions.get('web/1').closed, 'closed even if the item does not say when');
});

test('a list fetched meanwhile does not undo what later events told', () => {
  let s = play(told(
    event(11, 'session.opened', { data: session('web/1') }),
    event(12, 'session.closed', { data: session('web/1', { closed: '2026-01-01T00:00:02Z', outcome: 'cut' }) }),
    event(13, 'session.opened', { data: session('web/2') }),
  ));
  s = reduce(s, { type: 'sessions', seq: 11, items: [session('web/1'), session('web/9')] });
  assert.equal(s.sessions.get('web/1').outcome, 'cut');
  assert.deepEqual([...s.sessions.keys()].sort(), ['web/1', 'web/2', 'web/9']);
  // A later list has the last word: what it does not have is gone, but for the closed.
  s = reduce(s, { type: 'sessions', seq: 14, items: [session('web/2', { exchanges: 5 })] });
  assert.deepEqual([...s.sessions.keys()].sort(), ['web/1', 'web/2']);
  assert.equal(s.sessions.get('web/2').exchanges, 5);
});

test('live sessions stand first, and only some closed ones are kept', () => {
  const events = [];
  for (let i = 1; i <= keep.closed + 10; i++) {
    const at = new Date(Date.UTC(2026, 0, 1) + i * 1000).toISOString();
    events.push(event(10 + 2 * i, 'session.opened', { data: session(`web/${i}`, { opened: at }) }));
    events.push(event(11 + 2 * i, 'session.closed', { data: session(`web/${i}`, { opened: at, closed: at, outcome: 'ok' }) }));
  }
  const s = play(told(...events, event(9000, 'session.opened', { data: session('web/99') })));
  const ids = [...s.sessions.keys()];
  assert.equal(ids[0], 'web/99');
  assert.equal(ids[1], `web/${keep.closed + 10}`);
  assert.equal(ids.length, 1 + keep.closed);
});

test('exchanges are replaced in place, newest last, and bounded', () => {
  const events = [event(11, 'exchange.started', { data: exchange('web/1/1') })];
  for (let i = 2; i <= keep.exchanges + 5; i++) events.push(event(10 + i, 'exchange.started', { data: exchange(`web/1/${i}`) }));
  let s = play(told(...events));
  assert.equal(s.exchanges.size, keep.exchanges);
  const last = `web/1/${keep.exchanges + 5}`;
  assert.equal([...s.exchanges.keys()].at(-1), last);
  s = reduce(s, told(event(9000, 'exchange.finished', { data: exchange(last, { outcome: 'cut', finished: 'x' }) })));
  assert.equal(s.exchanges.get(last).outcome, 'cut');
  assert.equal(s.exchanges.size, keep.exchanges);
  assert.equal(s.routes[0].exchanges, 1);
});

test('a list of exchanges tells of what was under way, and nothing of what came after it', () => {
  const done = { outcome: 'ok', finished: '2026-01-01T00:00:01Z' };
  let s = play(told(
    event(11, 'exchange.started', { data: exchange('web/1/1') }), // its end was left out
    event(12, 'exchange.started', { data: exchange('web/1/2') }), // not in the list any more
    event(13, 'exchange.finished', { data: exchange('web/1/3', { ...done, outcome: 'cut' }) }),
    event(21, 'exchange.started', { data: exchange('web/1/4') }),
  ));
  s = reduce(s, { type: 'exchanges', seq: 20, items: [exchange('web/1/0', done), exchange('web/1/1', done), exchange('web/1/3')] });
  assert.deepEqual([...s.exchanges.values()].map((i) => [i.id, i.outcome]),
    [['web/1/0', 'ok'], ['web/1/1', 'ok'], ['web/1/3', 'cut'], ['web/1/4', 'open']]);
});

test('an event adds nothing to counters that were fetched after it', () => {
  const fetched = { seq: 15, epoch: 'one', panic: null, routes: [route('web', { sessions: 4, exchanges: 7, rules: [rule('cut', { hits: 2 })] })] };
  const s = play({ type: 'counters', state: fetched }, told(
    event(14, 'fault.fired', { rule: 'cut' }), event(15, 'exchange.finished', { data: exchange('web/1/1') }),
    event(16, 'session.opened', { data: session('web/2') }), event(17, 'fault.fired', { rule: 'cut' }),
  ));
  assert.deepEqual([ruleNow(s, 'cut').hits, s.routes[0].exchanges, s.routes[0].sessions], [3, 7, 5]);
});

test('the log is bounded, and history slips in before what is there', () => {
  let s = play(told(event(20, 'box.reloaded')), { type: 'history', items: [event(3, 'box.started'), event(20, 'box.reloaded')] });
  assert.deepEqual(s.events.map((e) => e.seq), [3, 20]);
  assert.equal(s.seq, 20);
  // History is for reading: the events it brings early still act when they are told.
  s = reduce(s, { type: 'history', items: [event(25, 'fault.fired', { rule: 'cut' })] });
  assert.equal(ruleNow(s, 'cut').hits, 0);
  s = reduce(s, told(event(25, 'fault.fired', { rule: 'cut' })));
  assert.equal(ruleNow(s, 'cut').hits, 1);
  s = reduce(s, told(...Array.from({ length: keep.events + 7 }, (_, i) => event(30 + i, 'rule.missed'))));
  assert.equal(s.events.length, keep.events);
  assert.equal(s.events[0].seq, 37);
});

test('panic puts everything out at once; release lifts it', () => {
  let s = play(told(event(11, 'rule.armed', { rule: 'cut', data: { rule: rule('cut', { armed: true }) } })));
  s = reduce(s, told(event(12, 'box.panicked', { data: { who: 'ann', why: 'smoke' } })));
  assert.deepEqual([s.panic.who, s.panic.why, ruleNow(s, 'cut').armed], ['ann', 'smoke', false]);
  s = reduce(s, told(event(13, 'box.released', { data: {} })));
  assert.equal(s.panic, null);
});

test('a poll refreshes counters and hits but not what an event changed since', () => {
  let s = play(told(event(15, 'rule.armed', { rule: 'cut', data: { rule: rule('cut', { armed: true, rev: 3 }) } })));
  const older = { seq: 12, epoch: 'one', panic: { who: 'x', why: '', when: '' }, routes: [route('web', { sessions: 4, rules: [rule('cut', { hits: 2 })] })] };
  s = reduce(s, { type: 'counters', state: older });
  assert.equal(s.routes[0].sessions, 4);
  assert.equal(ruleNow(s, 'cut').armed, true);
  s = reduce(s, { type: 'counters', state: { ...older, seq: 16, panic: null, routes: [route('web', { rules: [rule('cut', { armed: true, hits: 2, near_miss: 'GET /x (path)' })] })] } });
  assert.equal(ruleNow(s, 'cut').near_miss, 'GET /x (path)');
  assert.equal(s.panic, null);
});

test('the answer to a call is as good as its event, whichever comes first', () => {
  const armed = { type: 'changed', route: 'web', result: { rule: rule('cut', { armed: true, rev: 2 }), seq: 11, sessions: 2 } };
  assert.equal(ruleNow(play(armed), 'cut').armed, true);
  // Somebody else disarmed it in between: their event came first and is later.
  const s = play(told(event(12, 'rule.disarmed', { rule: 'cut', data: { rule: rule('cut', { rev: 3 }) } })), armed);
  assert.equal(ruleNow(s, 'cut').armed, false);
});

test('resync starts from its snapshot and keeps the log', () => {
  const s = play(told(event(11, 'fault.fired', { rule: 'cut' })),
    { type: 'snapshot', state: { seq: 500, epoch: 'one', panic: null, routes: [route('web', { rules: [rule('cut', { hits: 90 })] })] } },
    told(event(499, 'fault.fired', { rule: 'cut' }), event(501, 'fault.fired', { rule: 'cut' })));
  assert.equal(ruleNow(s, 'cut').hits, 91);
  assert.deepEqual(s.events.map((e) => e.seq), [11, 499, 501]);
});

test('a new epoch forgets the old box but not its catalogue', () => {
  const s = play({ type: 'faults', faults: [{ name: 'cut' }] }, told(event(11, 'session.opened', { data: session('web/1') })),
    { type: 'connection', status: 'live', since: 1 },
    { type: 'hello', box: { version: 'v2', epoch: 'two', seed: 1 } });
  assert.deepEqual([s.sessions.size, s.events.length, s.seq, s.faults.length], [0, 0, 0, 1]);
  assert.deepEqual([s.box.version, s.epoch, s.connection.status], ['v2', 'two', 'live']);
});

test('routes come, change and go', () => {
  let s = play(told(event(11, 'route.added', { route: 'db', data: { route: { name: 'db', listen: 'a', upstream: 'b', sessions: 0 } } })));
  assert.deepEqual(s.routes.map((r) => r.name), ['web', 'db']);
  assert.deepEqual(s.routes[1].bytes, { upstream: 0, downstream: 0 });
  s = reduce(s, { type: 'stats', routes: { web: { name: 'web', sessions: 9, exchanges: 100, bytes: { upstream: 1, downstream: 2 } } } });
  s = reduce(s, told(event(12, 'route.changed', { data: { route: { name: 'web', listen: 'z', upstream: 'b', rules: [], sessions: 0, bytes: { upstream: 0, downstream: 0 } } } })));
  assert.deepEqual([s.routes[0].listen, s.routes[0].sessions, s.routes[0].bytes.downstream, s.routes[0].rules.length], ['z', 9, 2, 0]);
  s = reduce(s, told(event(13, 'route.removed', { route: 'web', data: {} })));
  assert.deepEqual(s.routes.map((r) => r.name), ['db']);
});

test('events this page does not know are kept and do no harm', () => {
  const s = play(told(event(11, 'rule.armed'), event(12, 'novelty.happened', { data: 7 }), event(13, 'session.opened', { data: {} }), event(14, 'exchange.finished')));
  assert.equal(s.seq, 14);
  assert.equal(s.events.length, 4);
  assert.throws(() => reduce(s, { type: 'nonsense' }), /unknown action nonsense/);
});

test('a call is busy, then done or failed', () => {
  let s = play({ type: 'failed', key: 'web/cut', failure: { code: 'invalid', field: '', message: 'no' } }, { type: 'busy', key: 'web/cut', word: 'arming' });
  assert.deepEqual([s.busy, s.failures], [{ 'web/cut': 'arming' }, {}]);
  s = reduce(s, { type: 'failed', key: 'web/cut', failure: { code: 'forbidden', field: '', message: 'panic' } });
  assert.deepEqual([s.busy, s.failures['web/cut'].message], [{}, 'panic']);
  assert.deepEqual(reduce(s, { type: 'forgive', key: 'web/cut' }).failures, {});
});

test('the store tells its listeners of changes only', () => {
  const store = new Store();
  let n = 0;
  const stop = store.subscribe(() => n++);
  store.dispatch({ type: 'faults', faults: [] });
  stop();
  store.dispatch({ type: 'faults', faults: [1] });
  assert.equal(n, 1);
});
