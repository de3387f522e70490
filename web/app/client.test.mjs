import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { base64url, Client } from './client.js';

/** A WebSocket that the test answers for. */
class Socket {
  readyState = 0;
  sent = [];
  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
  }
  open() {
    this.readyState = 1;
    return this.onopen();
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  say(message) {
    this.onmessage({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }
  close(reason = '') {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose({ reason });
  }
}

function setUp({ answer = () => { throw new Error('nobody there'); }, onOpen = async () => {}, token } = {}) {
  const sockets = [];
  const log = [];
  const notices = [];
  const client = new Client({
    url: 'ws://box/v1/ws', probe: 'http://box/v1/rpc', token, onOpen, random: () => 0.5,
    open: (url, protocols) => {
      sockets.push(new Socket(url, protocols));
      return sockets.at(-1);
    },
    fetch: async (url, init) => answer(url, init),
    onNotice: (method, params) => notices.push([method, params]),
    onStatus: (status, detail) => log.push(detail ? `${status}: ${detail}` : status),
  });
  return { client, sockets, log, notices };
}
const settle = () => new Promise((r) => setImmediate(r));

test('calls and answers meet by id, errors keep code and field', async () => {
  const { client, sockets } = setUp();
  client.start();
  await sockets[0].open();
  assert.deepEqual(sockets[0].protocols, ['crimp.v1']);
  const a = client.call('ping');
  const b = client.call('rule.arm', { route: 'web', name: 'x' });
  assert.deepEqual(sockets[0].sent[1], { jsonrpc: '2.0', id: 2, method: 'rule.arm', params: { route: 'web', name: 'x' } });
  sockets[0].say({ jsonrpc: '2.0', id: 2, error: { code: -32001, message: 'name: no rule', data: { code: 'not_found', field: 'name', message: 'no rule', more: [{ code: 'invalid', message: 'as a whole' }] } } });
  sockets[0].say({ jsonrpc: '2.0', id: 1, result: { ok: 1 } });
  sockets[0].say({ jsonrpc: '2.0', id: 77, result: {} });
  assert.deepEqual(await a, { ok: 1 });
  await assert.rejects(b, { code: 'not_found', field: 'name', message: 'no rule', more: [{ code: 'invalid', field: '', message: 'as a whole' }] });
  client.stop();
});

test('notices go to their taker, and a 64-bit seed keeps its digits', async () => {
  const { client, sockets, notices } = setUp();
  client.start();
  await sockets[0].open();
  sockets[0].say('{"jsonrpc":"2.0","method":"event","params":{"seq":1,"data":{"seed":18446744073709551615,"config":"\\"seed\\":18446744073709551615"}}}');
  assert.deepEqual(notices, [['event', { seq: 1, data: { seed: '18446744073709551615', config: '"seed":18446744073709551615' } }]]);
  client.stop();
});

test('a call fails at once while there is no connection, and when it goes down', async () => {
  const { client, sockets } = setUp();
  client.start();
  await assert.rejects(client.call('ping'), { code: 'offline' });
  await sockets[0].open();
  const call = client.call('ping');
  sockets[0].close();
  await assert.rejects(call, { code: 'offline' });
  client.stop();
});

test('a call that is never answered fails by itself', async () => {
  const { client, sockets } = setUp();
  client.start();
  await sockets[0].open();
  await assert.rejects(client.call('ping', {}, 5), { code: 'timeout' });
  client.stop();
});

test('it comes back by itself, ever more patiently, and is live only after onOpen', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  let opened = 0;
  const { client, sockets, log } = setUp({ onOpen: async () => { opened++; } });
  client.start();
  await sockets[0].open();
  assert.deepEqual([log, opened], [['live'], 1]);
  sockets[0].close('shutting down');
  await settle();
  for (const wait of [250, 500, 1000]) {
    const n = sockets.length;
    t.mock.timers.tick(wait - 1);
    assert.equal(sockets.length, n);
    t.mock.timers.tick(1);
    assert.equal(sockets.length, n + 1);
    sockets.at(-1).close();
    await settle();
  }
  client.hurry(); // the page came into sight again
  await sockets.at(-1).open();
  assert.deepEqual(log, ['live', 'reconnecting: shutting down', 'reconnecting', 'reconnecting', 'reconnecting', 'live']);
  assert.equal(opened, 2);
  client.stop();
});

test('when the opening calls fail the reason is told', async () => {
  const { client, sockets, log } = setUp({ onOpen: async () => { throw new Error('no such method'); } });
  client.start();
  await sockets[0].open();
  await settle();
  assert.deepEqual(log, ['connecting: no such method']);
  client.stop();
});

test('a box that stops answering pings is left', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { client, sockets } = setUp();
  client.start();
  await sockets[0].open();
  t.mock.timers.tick(15_000);
  assert.equal(sockets[0].sent.at(-1).method, 'ping');
  t.mock.timers.tick(8_000);
  await settle();
  assert.equal(sockets[0].readyState, 3);
  client.stop();
});

test('a refused token is asked for, and not tried again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  let seen;
  const answer = (_, init) => {
    seen = init.headers.Authorization;
    return { ok: false, status: 401, text: async () => 'unauthorized' };
  };
  const { client, sockets, log } = setUp({ answer, token: 'wröng' });
  client.start();
  assert.deepEqual(sockets[0].protocols, ['crimp.v1', 'bearer.d3LDtm5n']);
  sockets[0].close();
  await settle();
  t.mock.timers.tick(60_000);
  assert.deepEqual([log, sockets.length, seen], [['token: that token was refused'], 1, 'Bearer wröng']);
  client.useToken('right');
  assert.equal(sockets[1].protocols[1], 'bearer.cmlnaHQ');
  client.stop();
});

test('a foreign Host or Origin is told in the words of the box', async () => {
  const answer = () => ({ ok: false, status: 403, text: async () => 'forbidden: Host "lab" is not listed\n' });
  const { client, sockets, log } = setUp({ answer });
  client.start();
  sockets[0].close();
  await settle();
  assert.deepEqual(log, ['refused: forbidden: Host "lab" is not listed']);
  client.stop();
});

test('base64url has no padding and no characters a header would mind', () => {
  assert.equal(base64url('\u00ff\u00fe>>??'), 'w7_Dvj4-Pz8');
});
