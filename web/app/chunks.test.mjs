import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chunkText, end, keep, newCapture, sessionOver, take, wayOf } from './chunks.js';

const time = '2026-11-25T19:00:00Z';
const chunk = (n, data = 'QUJD') => ({ what: 'bytes', time, session: 'web/3', side: 'client', way: 'in', offset: 3 * n, bytes: 3, data });
const many = (n, data) => Array.from({ length: n }, (_, i) => chunk(i, data));

test('the last pieces are kept, and what is left out is counted', () => {
  let c = newCapture(1, { session: 'web/3' });
  c = take(c, [{ what: 'opened', time }, ...many(keep.pieces - 1)]);
  assert.deepEqual([c.pieces.length, c.left], [keep.pieces, { pieces: 0, bytes: 0 }]);
  c = take(c, many(2));
  assert.deepEqual([c.pieces.length, c.pieces[0].n, c.pieces.at(-1).n, c.left], [keep.pieces, 2, keep.pieces + 1, { pieces: 2, bytes: 3 }]);
});

test('however long they are, their bytes are bounded; a gap of the box counts as what is missing there', () => {
  let c = take(newCapture(1, { route: 'web' }), [{ what: 'lost', time, chunks: 7, bytes: 9000 }]);
  const long = 'A'.repeat(2048 / 3 * 4);
  for (let i = 0; i < 100; i++) c = take(c, many(64, long));
  assert.ok(c.size <= keep.bytes && c.size > keep.bytes - 2048, String(c.size));
  assert.equal(c.pieces.reduce((n, p) => n + p.data.length, 0), c.size / 3 * 4);
  assert.deepEqual(c.left, { pieces: 6400 - c.pieces.length + 7, bytes: (6400 - c.pieces.length) * 3 + 9000 });
});

test('a capture of one session is over with it, one of a route is not', () => {
  const closed = { what: 'closed', time, session: 'web/3' };
  assert.equal(take(newCapture(1, { session: 'web/3' }), [chunk(0), closed]).over, sessionOver);
  const c = take(newCapture(1, { route: 'web' }), [closed]);
  assert.equal(c.over, '');
  assert.deepEqual([take(c, [{ what: 'ended', time }]).over, take(c, [{ what: 'ended', time }]).pieces.length], ['the box has ended it', 1]);
  assert.equal(end(end(c, 'first'), 'second').over, 'first');
  assert.equal(end(null, 'none'), null);
});

test('a chunk in words', () => {
  for (const [k, want] of [
    [{ what: 'bytes', bytes: 3, data: 'QUJD' }, 'at 0, 3 bytes'],
    [{ what: 'bytes', offset: 4096, bytes: 1, data: 'QQ==' }, 'at 4,096, 1 byte'],
    [{ what: 'bytes', offset: 9, bytes: 32768, data: 'QUI=' }, 'at 9, 32,768 bytes, the first 2'],
    [{ what: 'bytes', bytes: 5 }, 'at 0, 5 bytes, the first 0'],
    [{ what: 'fin', offset: 631 }, 'FIN at 631'],
    [{ what: 'rst' }, 'RST at 0'],
    [{ what: 'opened', side: 'client', own: 'b:2', peer: 'a:1' }, 'a:1 → b:2'],
    [{ what: 'opened', side: 'server', own: 'b:2', peer: 'c:3', stood: true, offset: 1000, given: 7 }, 'b:2 → c:3, since before: 1,000 B read and 7 written'],
    [{ what: 'fired', rule: 'truncate', fault: 'truncate', at: 'body:512', direction: 'downstream', bytes: 631, end: 'fin', seq: 18 }, 'truncate at body:512 · downstream · after 631 bytes · FIN · event 18'],
    [{ what: 'fired', rule: 'slow', direction: 'upstream', seq: 2 }, 'slow · upstream · after 0 bytes · event 2'],
    [{ what: 'lost', chunks: 12, bytes: 40000 }, '12 pieces missing, 39.1 KiB: more came than the page could read'],
    [{ what: 'closed' }, 'the session is over'],
    [{ what: 'novelty' }, ''],
  ]) assert.equal(chunkText(k), want);
  assert.equal(wayOf({ what: 'bytes', side: 'client', way: 'out' }).name, 'to client');
  assert.equal(wayOf({ what: 'fired', direction: 'downstream' }), undefined);
});
