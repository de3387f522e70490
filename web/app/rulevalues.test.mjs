import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldOf, findFault, freeName, paramFields, ruleFrom, sortMistakes, valuesOf } from './rulevalues.js';

const latency = {
  name: 'latency', preset_of: null, summary: '', defaults: { jitter: '0s', burst: 3, both: false },
  params: {
    type: 'object', 'x-order': ['delay', 'jitter', 'distribution', 'burst', 'both'], required: ['delay'],
    properties: {
      both: { type: ['boolean', 'string'], 'x-type': 'bool', default: false },
      burst: { type: ['integer', 'string'], 'x-type': 'int', default: 3 },
      delay: { type: 'string', 'x-type': 'duration', description: 'how much later' },
      distribution: { type: 'string', enum: ['uniform', 'normal'], default: 'uniform' },
      jitter: { type: 'string', 'x-type': 'duration', default: '0s' },
    },
  },
};

test('a form is made of the schema, in its order', () => {
  assert.deepEqual(paramFields(latency).map((f) => [f.id, f.type, f.initial, f.required]), [
    ['params.delay', 'text', '', true],
    ['params.jitter', 'text', '0s', false],
    ['params.distribution', 'choice', 'uniform', false],
    ['params.burst', 'number', '3', false],
    ['params.both', 'flag', 'false', false],
  ]);
  assert.deepEqual(paramFields(undefined), []);
  assert.deepEqual(paramFields({ params: { properties: { a: { type: 'string' } } } }).map((f) => f.name), ['a']);
});

test('what is as the fault has it anyway is not said', () => {
  const values = valuesOf(undefined, latency);
  assert.equal(values.name, 'latency');
  assert.deepEqual(ruleFrom(values, latency, true), { name: 'latency', fault: 'latency', armed: true });
});

test('numbers and flags are sent as such, and what is no number as it is', () => {
  const rule = ruleFrom({ ...valuesOf(undefined, latency), name: 'slow', 'params.delay': '250ms', 'params.burst': '7', 'params.both': 'true',
    'gate.times': '1', 'gate.skip': 'few', 'gate.probability': '30%', 'match.reused': 'true', 'match.exchange': '3', 'match.path': ' /a/* ',
    'match.header': 'Accept: text/*; X-Any', ttl: '30s' }, latency, false);
  assert.deepEqual(rule, {
    name: 'slow', fault: 'latency', armed: false,
    params: { delay: '250ms', burst: 7, both: true },
    match: { path: '/a/*', header: { Accept: 'text/*', 'X-Any': '*' }, exchange: '3', reused: true },
    gate: { times: 1, skip: 'few', probability: '30%' },
  });
});

test('a rule goes into its form and comes out the same', () => {
  const rule = {
    name: 'slow', fault: 'latency', armed: true, route: 'web', summary: '', rev: 1, hits: 0, spent: false,
    params: { delay: '1s', burst: 9 }, match: { header: { Accept: 'text/*', Cookie: 'a: b' }, reused: false, session: '2-5' }, gate: { every: 3, probability: 0.3 },
  };
  const { name, fault, armed, params, match, gate } = rule;
  const back = ruleFrom(valuesOf(rule, latency), latency, true);
  assert.deepEqual(back, { name, fault, armed, params, match, gate: { ...gate, probability: '0.3' } });
});

test("an error of the box finds its field", () => {
  const ids = ['name', 'fault', 'params.at', 'params.keep_alive', 'match.path', 'match.header', 'gate.times', 'ttl'];
  for (const [field, want] of [
    ['rule.params.at', 'params.at'], ['params.at', 'params.at'], ['rule.params.keep-alive', 'params.keep_alive'], ['at', 'params.at'],
    ['rule.match.header.Host', 'match.header'], ['rule.name', 'name'], ['ttl', 'ttl'], ['rule.gate.times', 'gate.times'], ['route', ''], ['', ''],
  ]) assert.equal(fieldOf(field, ids), want, field);
});

test('a preset that bears the name of its kind is told from it', () => {
  const faults = [{ name: 'dumb-proxy', preset_of: 'dumb_proxy' }, { name: 'dumb_proxy', preset_of: null }, { name: 'cut', preset_of: null }];
  assert.equal(findFault(faults, 'dumb_proxy').preset_of, null);
  assert.equal(findFault(faults, 'dumb-proxy').preset_of, 'dumb_proxy');
  assert.equal(findFault(faults, 'Dumb_Proxy').name, 'dumb-proxy');
  assert.equal(findFault(faults, 'x'), undefined);
});

test('a new rule gets a name that replaces no other', () => {
  assert.equal(freeName([], 'cut'), 'cut');
  assert.equal(freeName([{ name: 'Cut' }, { name: 'cut-2' }], 'cut'), 'cut-3');
});

test('the mistakes of a call are sorted by field, and none is lost', () => {
  const ids = ['fault', 'params.at', 'match.header', 'ttl'];
  const of = (field, message) => ({ code: 'invalid', field, message });
  const more = [of('rule.match.header.A b', 'one'), of('rule.params.foo', 'unknown'), of('rule.match.header.C', 'two'), of('', 'as a whole')];
  assert.deepEqual(sortMistakes({ ...of('ttl', 'late'), more }, ids), { at: { ttl: ['late'], 'match.header': ['one', 'two'] }, rest: [more[1], more[3]], count: 5 });
  assert.deepEqual(sortMistakes(undefined, ids), { at: {}, rest: [], count: 0 });
});
