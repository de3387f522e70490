import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rows } from './log.js';

const log = (...seqs) => seqs.map(([seq, type]) => ({ seq, type, time: '' }));

test('hidden topics are left out, and events that never came are counted', () => {
  const events = log([5, 'rule.armed'], [6, 'exchange.started'], [9, 'exchange.finished'], [10, 'fault.fired'], [12, 'rule.spent'], [13, 'rule.armed']);
  assert.deepEqual(rows(events, []).map((r) => [r.event.seq, r.missed]), [[5, 0], [6, 0], [9, 2], [10, 0], [12, 1], [13, 0]]);
  assert.deepEqual(rows(events, ['exchange']).map((r) => [r.event.seq, r.missed]), [[5, 0], [10, 2], [12, 1], [13, 0]]);
  assert.deepEqual(rows([], []), []);
});
