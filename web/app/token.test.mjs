import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeToken } from './token.js';

test('the token leaves the address bar and survives a reload of the tab', () => {
  const kept = new Map();
  const storage = { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v) };
  const shown = [];
  const history = { replaceState: (_, __, url) => shown.push(url) };
  assert.equal(takeToken({ hash: '#token=a%2Bb', pathname: '/', search: '?x' }, history, storage), 'a+b');
  assert.deepEqual(shown, ['/?x']);
  assert.equal(takeToken({ hash: '', pathname: '/', search: '' }, history, storage), 'a+b');
  const broken = { getItem: () => { throw new Error('denied'); }, setItem: () => { throw new Error('denied'); } };
  assert.equal(takeToken({ hash: '#token=t', pathname: '/', search: '' }, history, broken), 't');
  assert.equal(takeToken({ hash: '', pathname: '/', search: '' }, history, broken), '');
});
