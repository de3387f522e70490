import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, captureCommand, clock, command, count, describe, duration, firedText, gateText, matchText, plural, sentOf } from './format.js';

test('counts, bytes and durations', () => {
  for (const [f, v, want] of [
    [count, 0, '0'], [count, 999, '999'], [count, 1234567, '1,234,567'], [count, undefined, '0'],
    [bytes, 0, '0 B'], [bytes, 512, '512 B'], [bytes, 999, '999 B'], [bytes, 1000, '0.98 KiB'], [bytes, 1536, '1.50 KiB'],
    [bytes, 10 * 1024, '10.0 KiB'], [bytes, 100 * 1024 + 1, '100 KiB'], [bytes, 1023 * 1024, '1.00 MiB'], [bytes, 2 ** 40, '1.00 TiB'], [bytes, null, '0 B'],
    [duration, -5, '0s'], [duration, 850, '850ms'], [duration, 3999, '3s'], [duration, 252_000, '4m 12s'], [duration, 2 * 3600_000 + 300_000, '2h 05m'],
    [duration, 76 * 3600_000, '3d 4h'], [duration, NaN, '0s'],
  ]) assert.equal(f(v), want, `${f.name}(${v})`);
  assert.equal(plural(1, 'hit'), '1 hit');
  assert.equal(plural(2048, 'hit'), '2,048 hits');
  assert.match(clock('2026-11-22T14:03:59.120Z'), /^\d\d:03:59\.120$/);
  assert.equal(clock('no time'), '');
});

test('match and gate in words', () => {
  assert.equal(matchText(undefined), '');
  assert.equal(matchText({ path: '/api/*', exchange: '2-' }), 'path /api/*, exchange 2-');
  assert.equal(matchText({ header: { Accept: 'text/*' } }), 'header Accept: text/*');
  assert.equal(gateText({}), '');
  assert.equal(gateText({ skip: 2, every: 3, probability: 0.3, times: 1, key: 'path' }), 'skips 2, every 3rd, probability 0.3, by path, at most 1 time');
  assert.equal(gateText({ every: 12 }), 'every 12th');
});

test('what was delivered of a response', () => {
  assert.equal(sentOf({ status: 0, declared: null, sent: 0, end: '' }), '');
  assert.equal(sentOf({ status: 200, declared: 1024, sent: 512, end: 'fin' }), '512 of 1,024 B');
  assert.equal(sentOf({ status: 200, declared: null, sent: 2048, end: 'whole' }), '2,048 B');
  assert.equal(sentOf({ status: 204, declared: 0, sent: 0, end: 'whole' }), '0 of 0 B');
  assert.equal(firedText([{ rule: 'truncate', fault: 'truncate', at: 'body:512' }, { rule: 'slow', fault: 'latency', at: '' }]), 'truncate at body:512, slow');
});

test('a rule as the command that makes it', () => {
  assert.equal(command('web', { name: 'truncate', fault: 'truncate' }), 'crimp arm web truncate');
  assert.equal(command('web', { name: 'dumb_proxy', fault: 'dumb-proxy' }), 'crimp arm web dumb-proxy');
  assert.equal(
    command('web', { name: 'x', fault: 'cut', params: { at: 'field:2', end: 'rst' }, match: { path: '/a b/*', header: { Cookie: "it's*" } }, gate: { times: 1, skip: 0 } }),
    `crimp arm web cut at=field:2 end=rst --name x --match 'path=/a b/*' --match 'header=Cookie:it'\\''s*' --times 1`,
  );
  assert.equal(command('web', { name: 'cut', fault: 'cut' }, 'http://127.0.0.1:27467'), 'crimp arm web cut');
  assert.equal(command('web', { name: 'cut', fault: 'cut' }, 'http://lab:9'), 'crimp arm web cut --api http://lab:9');
  assert.equal(captureCommand({ session: 'web/3' }, 'http://lab:9'), 'crimp capture --session web/3 --api http://lab:9');
  assert.equal(captureCommand({ route: 'web' }, 'http://127.0.0.1:27467'), 'crimp capture --route web');
});

test('every event type of the protocol has a sentence', () => {
  const session = { id: 'web/3', client: '127.0.0.1:5', upstream: '127.0.0.1:9', outcome: 'cut', bytes: { upstream: 10, downstream: 2048 },
    ended: { client: 'fin', server: 'close' }, cause: 'fault' };
  const exchange = { request: { method: 'GET', target: '/' }, response: { status: 200, declared: 4, sent: 2, end: 'fin' }, rules: [{ rule: 'truncate', at: 'body:2' }], odd: ['odd thing'] };
  const rule = { name: 'truncate', summary: 'cut at body:50%, fin', hits: 2 };
  for (const [type, data, want] of [
    ['session.opened', session, '127.0.0.1:5 to 127.0.0.1:9'],
    ['session.closed', session, 'cut · client fin, server close · up 10 B, down 2.00 KiB · by fault'],
    ['session.failed', { upstream: 'db:1', error: 'connection refused' }, 'db:1 did not answer: connection refused'],
    ['session.opaque', { direction: 'downstream', offset: 1500, reason: 'not HTTP' }, 'downstream goes on as opaque bytes from 1,500: not HTTP'],
    ['exchange.started', exchange, 'GET /'],
    ['exchange.finished', exchange, 'GET / · 200 · 2 of 4 B · fin · truncate at body:2 · odd thing'],
    ['rule.armed', { rule, who: 'ann', why: 'issue 12', sessions: 1 }, 'cut at body:50%, fin · by ann, “issue 12” · in force on 1 live session'],
    ['rule.disarmed', { rule, who: 'ann' }, 'cut at body:50%, fin · by ann'],
    ['rule.disarmed', { rule, removed: true }, 'removed'],
    ['rule.changed', { rule }, 'cut at body:50%, fin'],
    ['rule.spent', { rule }, 'fired for the last time its gate allows · 2 hits'],
    ['rule.missed', { fault: 'cut', at: 'body:9', reason: 'the body has 4 bytes' }, 'cut missed · body:9 · the body has 4 bytes'],
    ['fault.fired', { fault: 'cut', direction: 'downstream', at: 'body:2', bytes: 90, acked: 90, end: 'rst' }, 'cut at body:2 · downstream · RST · 90 B out before it'],
    ['fault.fired', { fault: 'latency', direction: 'upstream', bytes: 9, acked: 4 }, 'latency · upstream · 9 B out before it · 4 B acknowledged'],
    ['route.added', { route: { listen: 'a:1', upstream: 'b:2' }, who: 'ann' }, 'a:1 to b:2 · by ann'],
    ['route.removed', { who: 'ann' }, 'no longer listening · by ann'],
    ['control.joined', { name: 'dashboard', remote: '127.0.0.1:7' }, 'dashboard · 127.0.0.1:7'],
    ['control.left', { client: 'ws/3' }, 'ws/3'],
    ['box.started', { version: 'v1', seed: 0, config: 'x.yaml' }, 'crimp v1 · seed 0 · x.yaml'],
    ['box.reloaded', { who: 'SIGHUP' }, 'configuration reloaded · by SIGHUP'],
    ['box.panicked', { who: 'ann', why: 'smoke', rules: ['web/truncate'] }, 'everything off · by ann, “smoke” · web/truncate'],
    ['box.released', { who: 'ann', rules: [] }, 'arming is allowed again · by ann'],
    ['box.reverted', { who: 'ann' }, 'back to the configuration · by ann'],
    ['box.novelty', { a: 1 }, '{"a":1}'],
    ['control.left', undefined, ''],
  ]) assert.equal(describe({ type, data }), want, type);
});
