// @ts-check
// JSON-RPC over one WebSocket that is always either up or being brought up again.
// Nothing is sent twice: a call whose connection goes down fails, and says so.

/** How the box refused: code and field as in its protocol, and a sentence; and what else was wrong. */
export class CallError extends Error {
  /** @param {string} code @param {string} message @param {string} [field] @param {import('./store.js').Mistake[]} [more] */
  constructor(code, message, field = '', more = []) {
    super(message);
    this.code = code;
    this.field = field;
    this.more = more;
  }
}

const retryAfter = [250, 500, 1000, 2000, 4000, 5000]; // ms, the last one from then on
const callTimeout = 15_000;
const pingEvery = 15_000; // browsers cannot send WebSocket pings
const pingTimeout = 8_000;

/**
 * @typedef {object} Options
 * @property {string} url of the WebSocket
 * @property {string} probe of POST /v1/rpc: asked why a WebSocket would not open, which a browser does not tell
 * @property {string} [token]
 * @property {(client: Client) => Promise<void>} onOpen runs before the connection counts as live
 * @property {(method: string, params: any) => void} onNotice
 * @property {(status: import('./store.js').Status, detail: string) => void} onStatus
 * @property {(url: string, protocols: string[]) => WebSocket} [open]
 * @property {typeof fetch} [fetch]
 * @property {() => number} [random]
 */

export class Client {
  /** @type {Options} */ #o;
  /** @type {WebSocket|null} */ #socket = null;
  /** @type {Map<number, {resolve: (v: any) => void, reject: (e: CallError) => void, timer: any}>} */ #calls = new Map();
  #id = 0;
  #failures = 0;
  #everLive = false;
  #stopped = true;
  /** @type {any} */ #timer = null;

  /** @param {Options} options */
  constructor(options) {
    this.#o = options;
  }

  start() {
    this.#stopped = false;
    this.#dial();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  /** Tries at once rather than when the back-off ends. */
  hurry() {
    if (this.#stopped || this.#socket) return;
    clearTimeout(this.#timer);
    this.#dial();
  }

  /** @param {string} token */
  useToken(token) {
    this.#o.token = token;
    this.#stopped = false;
    this.#failures = 0;
    this.hurry();
  }

  /**
   * One call. Rejects with a CallError: the box's, or "offline" or "timeout" of our own.
   * @param {string} method @param {any} [params] @param {number} [timeout] ms
   * @returns {Promise<any>}
   */
  call(method, params = {}, timeout = callTimeout) {
    const socket = this.#socket;
    if (!socket || socket.readyState !== 1) {
      return Promise.reject(new CallError('offline', 'not connected to the box: nothing was sent'));
    }
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id);
        reject(new CallError('timeout', `${method}: no answer from the box in ${timeout / 1000} s`));
      }, timeout);
      this.#calls.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  #dial() {
    const protocols = ['crimp.v1'];
    if (this.#o.token) protocols.push('bearer.' + base64url(this.#o.token));
    const open = this.#o.open ?? ((url, p) => new WebSocket(url, p));
    const socket = open(this.#o.url, protocols);
    this.#socket = socket;
    let opened = false;
    let why = '';
    /** @type {any} */
    let ping;
    socket.onopen = async () => {
      opened = true;
      try {
        await this.#o.onOpen(this);
      } catch (e) {
        why = /** @type {Error} */ (e).message;
        socket.close();
        return;
      }
      if (socket !== this.#socket) return;
      this.#failures = 0;
      this.#everLive = true;
      this.#o.onStatus('live', '');
      ping = setInterval(() => this.call('ping', {}, pingTimeout).catch((e) => {
        if (e.code === 'timeout') socket.close();
      }), pingEvery);
    };
    socket.onmessage = (m) => this.#receive(m.data);
    socket.onclose = (e) => {
      clearInterval(ping);
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#failCalls();
      if (!this.#stopped) this.#retry(opened, why || e.reason);
    };
  }

  /** @param {string} text */
  #receive(text) {
    const message = JSON.parse(keepSeed(text));
    if (message.method) {
      this.#o.onNotice(message.method, message.params ?? {});
      return;
    }
    const call = this.#calls.get(message.id);
    if (!call) return;
    this.#calls.delete(message.id);
    clearTimeout(call.timer);
    if (message.error) call.reject(fromError(message.error));
    else call.resolve(message.result);
  }

  #failCalls() {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const c of calls) {
      clearTimeout(c.timer);
      c.reject(new CallError('offline', 'the connection to the box went down before it answered'));
    }
  }

  /** @param {boolean} opened @param {string} why */
  async #retry(opened, why) {
    if (!opened) {
      const refusal = await this.#askWhy();
      if (this.#stopped || this.#socket) return;
      if (refusal.status === 'token') {
        // Trying again with the same token would only fill the box's log.
        this.#stopped = true;
        this.#o.onStatus('token', refusal.detail);
        return;
      }
      if (refusal.status === 'refused') {
        this.#o.onStatus('refused', refusal.detail);
        this.#later(retryAfter[retryAfter.length - 1]);
        return;
      }
    }
    this.#o.onStatus(this.#everLive ? 'reconnecting' : 'connecting', why);
    this.#later(retryAfter[Math.min(this.#failures++, retryAfter.length - 1)]);
  }

  /** @param {number} ms */
  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#dial(), ms * (0.8 + 0.4 * (this.#o.random ?? Math.random)()));
  }

  /** @returns {Promise<{status: 'token'|'refused'|'down', detail: string}>} */
  async #askWhy() {
    try {
      /** @type {Record<string, string>} */
      const headers = { 'Content-Type': 'application/json' };
      if (this.#o.token) headers.Authorization = 'Bearer ' + this.#o.token;
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: {} });
      const answer = await (this.#o.fetch ?? fetch)(this.#o.probe, { method: 'POST', headers, body });
      const detail = answer.ok ? '' : refusalText(await answer.text());
      if (answer.status === 401) return { status: 'token', detail: this.#o.token ? 'that token was refused' : '' };
      if (answer.status === 403) return { status: 'refused', detail };
    } catch {
      // Nobody there: the ordinary case.
    }
    return { status: 'down', detail: '' };
  }
}

/**
 * A seed is 64 bits wide and a JavaScript number is not: a long one becomes text.
 * (Inside a JSON string its quotes would be escaped, so this finds only the member.)
 * @param {string} text
 */
function keepSeed(text) {
  return text.replace(/"seed":(\d{16,})/g, '"seed":"$1"');
}

/** @param {{code: number, message: string, data?: {code?: string, field?: string, message?: string, more?: any[]}}} e */
function fromError(e) {
  const more = (e.data?.more ?? []).map((m) => ({ code: m.code, field: m.field ?? '', message: m.message }));
  return new CallError(e.data?.code ?? String(e.code), e.data?.message ?? e.message, e.data?.field ?? '', more);
}

/** The sentence of a refusal, whether it came as text or as an error object. @param {string} body */
function refusalText(body) {
  try {
    const o = JSON.parse(body);
    return o.message ?? o.error?.message ?? o.error ?? body;
  } catch {
    return body.trim();
  }
}

/** @param {string} text */
export function base64url(text) {
  const raw = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(raw).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
