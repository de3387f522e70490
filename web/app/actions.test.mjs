import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newActions, ruleOf } from './actions.js';
import { CallError } from './client.js';
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

test('a switch makes a preset a rule, then arms and disarms it, and says so', async () => {
  const store = new Store();
  store.dispatch({ type: 'snapshot', state: { seq: 5, epoch: 'one', panic: null, routes: [web()] } });
  const said = [];
  const client = fake({
    'rule.set': (p) => ({ rule: { ...p.rule, route: 'web' }, seq: 6, sessions: 2 }),
    'rule.disarm': (p) => ({ rule: { name: p.name, fault: p.name, armed: false }, seq: 7, sessions: 2 }),
    'rule.arm': new CallError('forbidden', 'ann stopped everything: smoke'),
  });
  const actions = newActions(client, store, (text) => said.push(text));
  const now = () => ruleOf(store.state.routes[0].rules, 'cut-head');

  const call = actions.toggle('web', 'cut-head', undefined, true);
  assert.equal(store.state.busy['web/cut-head'], 'arming');
  assert.equal(now(), undefined, 'nothing is shown as done yet');
  await call;
  assert.deepEqual(client.calls[0], ['rule.set', { route: 'web', rule: { name: 'cut-head', fault: 'cut-head', armed: true } }]);
  assert.deepEqual([now().armed, store.state.inForce['web/cut-head'], store.state.busy], [true, 2, {}]);

  await actions.toggle('web', 'cut-head', now(), false);
  assert.deepEqual([client.calls[1], now().armed], [['rule.disarm', { route: 'web', name: 'cut-head' }], false]);

  await actions.toggle('web', 'cut-head', now(), true);
  assert.deepEqual([now().armed, store.state.failures['web/cut-head'].code], [false, 'forbidden']);
  assert.deepEqual(said, ['web cut-head: armed, in force on 2 live sessions', 'web cut-head: disarmed, in force on 2 live sessions', 'Failed: ann stopped everything: smoke']);
});

test('what is under way is not asked for twice', async () => {
  const store = new Store();
  let release;
  const client = fake({ panic: () => new Promise((r) => { release = r; }) });
  const actions = newActions(client, store, () => {});
  const first = actions.panic('');
  await actions.panic('');
  assert.equal(client.calls.length, 1);
  release({ disarmed: ['web/cut'], seq: 9 });
  await first;
  assert.deepEqual(store.state.busy, {});
});
