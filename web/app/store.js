// @ts-check
// What the page knows, and how each message from the box changes it. The reducer
// is pure: the same state and action give the same state, whatever the time, so
// the tests replay messages and look.
//
// A snapshot is the truth at one seq; events carry it on from there, each once.
// Lists fetched meanwhile are true at a seq of their own: whatever an event has
// touched since stays as the event left it.

import { end, take } from './chunks.js';

/**
 * @typedef {{name: string, fault: string, params?: Record<string, any>, match?: Record<string, any>,
 *   gate?: Record<string, any>, armed: boolean, route: string, summary: string, without?: string, rev: number, hits: number,
 *   misses?: Record<string, number>, spent: boolean, lease?: string, expires?: string, why?: string,
 *   near_miss?: string}} Rule
 * @typedef {{name: string, listen: string, upstream: string, protocol: string, mode: string, rev: number,
 *   rules: Rule[], sessions: number, sessions_total: number, failed: number, exchanges: number,
 *   bytes: Flow}} Route
 * @typedef {{upstream: number, downstream: number}} Flow
 * @typedef {{id: string, route: string, client: string, upstream: string, protocol: string, opened: string,
 *   closed?: string, bytes: Flow, held: Flow, exchanges: number, outcome: string,
 *   ended?: {client: string, server: string}, cause?: string, rules?: string[], odd?: string[]}} Session
 * @typedef {{id: string, route: string, session: string, client: string,
 *   request: {method: string, target: string, host?: string, bytes: number, delivered: string},
 *   response: {status: number, declared: number|null, sent: number, end: string},
 *   rules?: {rule: string, fault: string, at: string, end?: string}[],
 *   started: string, finished?: string, outcome: string, odd?: string[],
 *   seq?: number}} Exchange with the seq of the event that told of it
 * @typedef {{seq: number, time: string, type: string, route?: string, session?: string, exchange?: string,
 *   rule?: string, data?: any}} Event
 * @typedef {{who: string, why: string, when: string}} Panic
 * @typedef {{name: string, preset_of: string|null, summary: string, client?: string, group?: string,
 *   is?: string, params: any, defaults?: Record<string, any>, match?: any, gate?: any, headline?: boolean, http?: boolean}} Fault
 * @typedef {{code: string, field: string, message: string}} Mistake
 * @typedef {Mistake & {more: Mistake[]}} Failure the first mistake of a call, and the others
 * @typedef {'connecting'|'live'|'reconnecting'|'token'|'refused'} Status
 * @typedef {{
 *   connection: {status: Status, detail: string, since: number},
 *   box: {version: string, epoch: string, seed: number|string, rights?: string[]}|null,
 *   epoch: string, seq: number, counted: number, panic: Panic|null, panicSeq: number,
 *   routes: Route[], touched: Record<string, number>, inForce: Record<string, number>,
 *   faults: Fault[],
 *   sessions: Map<string, Session>, sessionSeq: Record<string, number>,
 *   exchanges: Map<string, Exchange>,
 *   events: Event[],
 *   capture: import('./chunks.js').Capture|null,
 *   busy: Record<string, string>, failures: Record<string, Failure>,
 * }} State
 */

/** How much the page keeps; the box keeps more. */
export const keep = { events: 2000, exchanges: 200, sessions: 1000, closed: 20 };

/** @type {State} */
export const initial = {
  connection: { status: 'connecting', detail: '', since: 0 },
  box: null,
  epoch: '',
  seq: 0,
  counted: 0, // seq up to which the counters have been fetched: what an event of before adds is in them
  panic: null,
  panicSeq: 0,
  routes: [],
  touched: {}, // rule key: seq of the last event about it
  inForce: {}, // rule key: live sessions it is in force on, as told when it was armed, while they are the same ones
  faults: [],
  sessions: new Map(),
  sessionSeq: {},
  exchanges: new Map(), // newest last
  events: [], // oldest first, by seq, none twice
  capture: null, // whose bytes are shown, and the last of them
  busy: {}, // what a call is under way for: what is being done, in a word
  failures: {}, // what the last call failed for, until the next one
};

/** What a rule is known by across routes. @param {string} route @param {string} rule */
export function ruleKey(route, rule) {
  return `${route}/${rule}`;
}

/**
 * @param {State} state
 * @param {{type: string, [k: string]: any}} action
 * @returns {State}
 */
export function reduce(state, action) {
  const change = changes[action.type];
  if (!change) throw new Error(`store: unknown action ${action.type}`);
  return change(state, action);
}

/** @type {Record<string, (state: State, action: any) => State>} */
const changes = {
  connection: (s, a) => ({
    ...s,
    connection: { status: a.status, detail: a.detail ?? '', since: a.since ?? s.connection.since },
    capture: a.status === 'live' ? s.capture : end(s.capture, 'the connection to the box went down'),
  }),
  hello: (s, a) => ({ ...newEpoch(s, a.box.epoch), box: a.box }),
  faults: (s, a) => ({ ...s, faults: a.faults }),
  snapshot: (s, a) => snapshot(newEpoch(s, a.state.epoch), a.state),
  counters: (s, a) => (a.state.epoch === s.epoch ? counters(s, a.state) : s),
  stats: (s, a) => stats(s, a.routes),
  sessions: (s, a) => sessions(s, a.items, a.seq),
  exchanges: (s, a) => ({ ...s, exchanges: exchanges(s, a.items, a.seq) }),
  history: (s, a) => ({ ...s, events: merge(s.events, a.items) }),
  events: (s, a) => events(s, a.events),
  busy: (s, a) => ({ ...s, busy: { ...s.busy, [a.key]: a.word }, failures: without(s.failures, a.key) }),
  done: (s, a) => ({ ...s, busy: without(s.busy, a.key) }),
  failed: (s, a) => ({ ...s, busy: without(s.busy, a.key), failures: { ...s.failures, [a.key]: a.failure } }),
  forgive: (s, a) => ({ ...s, failures: without(s.failures, a.key) }),
  capture: (s, a) => ({ ...s, capture: a.capture }),
  // What still comes of a capture that was ended is of no use to anybody.
  chunks: (s, a) => (s.capture?.sub === a.sub && !s.capture.over ? { ...s, capture: take(s.capture, a.chunks) } : s),
  changed: (s, a) => changed(s, a.route, a.result),
};

/** A box that started anew has nothing in common with the one before but its catalogue; one may still read bytes of then.
 * @param {State} s @param {string} epoch */
function newEpoch(s, epoch) {
  if (!s.epoch || s.epoch === epoch) return { ...s, epoch };
  return { ...initial, connection: s.connection, box: s.box, faults: s.faults, capture: s.capture, busy: s.busy, epoch };
}

/** @param {State} s @param {any} snap @returns {State} */
function snapshot(s, snap) {
  return {
    ...s,
    seq: snap.seq,
    counted: snap.seq,
    panic: snap.panic ?? null,
    panicSeq: snap.seq,
    routes: snap.routes ?? [],
    touched: {},
    inForce: {},
  };
}

/** A snapshot fetched beside the stream of events: counters always, the rest where no event came later.
 * @param {State} s @param {any} snap @returns {State} */
function counters(s, snap) {
  const fresh = new Map((snap.routes ?? []).map((/** @type {Route} */ r) => [r.name, r]));
  const routes = s.routes.map((r) => {
    const now = fresh.get(r.name);
    if (!now) return r;
    const rules = r.rules.map((rule) => {
      const next = (now.rules ?? []).find((/** @type {Rule} */ x) => x.name === rule.name);
      return next && (s.touched[ruleKey(r.name, rule.name)] ?? 0) <= snap.seq ? next : rule;
    });
    return { ...now, rules };
  });
  return { ...s, routes, counted: snap.seq, panic: s.panicSeq <= snap.seq ? snap.panic ?? null : s.panic };
}

/** @param {State} s @param {Record<string, Partial<Route>>} byRoute @returns {State} */
function stats(s, byRoute) {
  return { ...s, routes: s.routes.map((r) => (byRoute[r.name] ? { ...r, ...byRoute[r.name] } : r)) };
}

/** @param {State} s @param {Session[]} items @param {number} seq @returns {State} */
function sessions(s, items, seq) {
  /** @type {Map<string, Session>} */
  const next = new Map();
  for (const item of items) {
    const later = (s.sessionSeq[item.id] ?? 0) > seq && s.sessions.get(item.id);
    next.set(item.id, later || item);
  }
  for (const [id, item] of s.sessions) {
    // Not in the list: it opened after it, or it is closed and kept for a look.
    if (!next.has(id) && (item.closed || (s.sessionSeq[id] ?? 0) > seq)) next.set(id, item);
  }
  return trimSessions({ ...s, sessions: next });
}

/** What is under way is as the list says: its end may have been left out of the events.
 * @param {State} s @param {Exchange[]} items @param {number} seq */
function exchanges(s, items, seq) {
  const known = [...s.exchanges.values()].filter((i) => i.finished || (i.seq ?? 0) > seq);
  return newest(new Map([...items.map(byId), ...known.map(byId)]));
}

/** Live sessions first, oldest first; then the last few that closed. @param {State} s @returns {State} */
function trimSessions(s) {
  const all = [...s.sessions.values()];
  const live = all.filter((i) => !i.closed).sort(inOrder).slice(-keep.sessions);
  const closed = all.filter((i) => i.closed).sort((a, b) => Date.parse(b.closed ?? '') - Date.parse(a.closed ?? '')).slice(0, keep.closed);
  const sessions = new Map([...live, ...closed].map(byId));
  /** @type {Record<string, number>} */
  const sessionSeq = {};
  for (const id of sessions.keys()) if (s.sessionSeq[id]) sessionSeq[id] = s.sessionSeq[id];
  return { ...s, sessions, sessionSeq };
}

/** @param {Session} a @param {Session} b */
function inOrder(a, b) {
  return Date.parse(a.opened) - Date.parse(b.opened) || a.id.localeCompare(b.id, 'en', { numeric: true });
}

/** @template {{id: string}} T @param {T} item @returns {[string, T]} */
function byId(item) {
  return [item.id, item];
}

/** @param {Map<string, Exchange>} map */
function newest(map) {
  const items = [...map.values()].sort((a, b) => Date.parse(a.started) - Date.parse(b.started)
    || a.id.localeCompare(b.id, 'en', { numeric: true }));
  return new Map(items.slice(-keep.exchanges).map(byId));
}

/** Two runs of events by seq, the same one once. @param {Event[]} a @param {Event[]} b */
function merge(a, b) {
  const last = a.length ? a[a.length - 1].seq : -1;
  const all = b.every((e, i) => e.seq > (i ? b[i - 1].seq : last))
    ? [...a, ...b]
    : [...new Map([...a, ...b].map((e) => [e.seq, e])).values()].sort((x, y) => x.seq - y.seq);
  return all.length > keep.events ? all.slice(-keep.events) : all;
}

/** @param {State} s @param {Event[]} batch @returns {State} */
function events(s, batch) {
  const fresh = batch.filter((e) => e.seq > s.seq);
  let next = { ...s, sessions: new Map(s.sessions), sessionSeq: { ...s.sessionSeq }, exchanges: new Map(s.exchanges) };
  for (const e of fresh) {
    next = effects[e.type] ? effects[e.type](next, e, e.data ?? {}) : next;
    next.seq = e.seq;
  }
  if (fresh.some((e) => e.type.startsWith('exchange.'))) next.exchanges = newest(next.exchanges);
  else next.exchanges = s.exchanges;
  if (fresh.some((e) => e.type.startsWith('session.'))) next = trimSessions(next);
  else next.sessions = s.sessions;
  next.events = merge(s.events, batch);
  return next;
}

/** What an event does to what the page knows. @type {Record<string, (s: State, e: Event, d: any) => State>} */
const effects = {
  'session.opened': (s, e, d) => setSession(bump(recount(s, e), e, { sessions: 1, sessions_total: 1 }), e, d),
  'session.closed': (s, e, d) => setSession(bump(recount(s, e), e, { sessions: -1 }), e, { closed: e.time, ...d }),
  'session.failed': (s, e) => bump(s, e, { failed: 1 }),
  'exchange.started': (s, e, d) => setExchange(s, e, d),
  'exchange.finished': (s, e, d) => setExchange(bump(s, e, { exchanges: 1 }), e, d),
  'rule.armed': setRule,
  'rule.disarmed': setRule,
  'rule.changed': setRule,
  'rule.spent': setRule,
  'fault.fired': (s, e) => (e.seq <= s.counted ? s : editRule(s, e, (r) => ({ ...r, hits: r.hits + 1 }))),
  'route.added': setRoute,
  'route.changed': setRoute,
  'route.removed': (s, e, d) => ({ ...s, routes: s.routes.filter((r) => r.name !== (e.route ?? d.route?.name)) }),
  'box.panicked': (s, e, d) => allOff({ ...s, panic: { who: d.who ?? '', why: d.why ?? '', when: e.time }, panicSeq: e.seq }, e),
  'box.released': (s, e) => ({ ...s, panic: null, panicSeq: e.seq }),
  'box.reverted': (s, e) => ({ ...s, panic: null, panicSeq: e.seq }),
};

/** Sessions came or went: what a rule was in force on is no longer so. @param {State} s @param {Event} e @returns {State} */
function recount(s, e) {
  const kept = Object.entries(s.inForce).filter(([key]) => !key.startsWith(`${e.route}/`));
  return kept.length === Object.keys(s.inForce).length ? s : { ...s, inForce: Object.fromEntries(kept) };
}

/** @param {State} s @param {Event} e @param {Session} item */
function setSession(s, e, item) {
  if (!item.id) return s;
  s.sessions.set(item.id, { ...s.sessions.get(item.id), ...item });
  s.sessionSeq[item.id] = e.seq;
  return s;
}

/** @param {State} s @param {Event} e @param {Exchange} item */
function setExchange(s, e, item) {
  if (item.id) s.exchanges.set(item.id, { ...item, seq: e.seq });
  return s;
}

/** @param {State} s @param {Event} e @param {Record<string, number>} by */
function bump(s, e, by) {
  if (e.seq <= s.counted) return s;
  return editRoute(s, e.route, (r) => {
    /** @type {any} */
    const next = { ...r };
    for (const [k, n] of Object.entries(by)) next[k] = Math.max(0, (next[k] ?? 0) + n);
    return next;
  });
}

/** @param {State} s @param {string|undefined} name @param {(r: Route) => Route} edit @returns {State} */
function editRoute(s, name, edit) {
  return { ...s, routes: s.routes.map((r) => (r.name === name ? edit(r) : r)) };
}

/** @param {State} s @param {Event} e @param {(r: Rule) => Rule} edit @returns {State} */
function editRule(s, e, edit) {
  return editRoute(s, e.route, (r) => ({ ...r, rules: r.rules.map((x) => (x.name === e.rule ? edit(x) : x)) }));
}

/** @param {State} s @param {Event} e @param {any} d @returns {State} */
function setRule(s, e, d) {
  const route = e.route ?? d.rule?.route;
  const name = e.rule ?? d.rule?.name;
  if (!route || !name) return s;
  const key = ruleKey(route, name);
  const touched = { ...s.touched, [key]: e.seq };
  const inForce = d.sessions === undefined ? s.inForce : { ...s.inForce, [key]: d.sessions };
  if (d.removed) {
    return { ...editRoute(s, route, (r) => ({ ...r, rules: r.rules.filter((x) => x.name !== name) })), touched, inForce: without(inForce, key) };
  }
  if (!d.rule) return s;
  return { ...editRoute(s, route, (r) => ({ ...r, rules: replace(r.rules ?? [], d.rule) })), touched, inForce };
}

/** @param {Rule[]} rules @param {Rule} rule */
function replace(rules, rule) {
  return rules.some((x) => x.name === rule.name) ? rules.map((x) => (x.name === rule.name ? rule : x)) : [...rules, rule];
}

/** @param {State} s @param {Event} e @param {any} d @returns {State} */
function setRoute(s, e, d) {
  if (!d.route) return s;
  const old = s.routes.find((r) => r.name === d.route.name);
  // The event tells what was configured; counters it leaves out stay as they were.
  const next = { ...blankRoute, ...old, ...nonZero(d.route), rules: d.route.rules ?? old?.rules ?? [] };
  return { ...s, routes: old ? s.routes.map((r) => (r === old ? next : r)) : [...s.routes, next] };
}

const blankRoute = {
  name: '', listen: '', upstream: '', protocol: 'auto', mode: 'forward', rev: 0, sessions: 0, sessions_total: 0, failed: 0, exchanges: 0,
  bytes: { upstream: 0, downstream: 0 },
};

/** @param {Record<string, any>} route */
function nonZero(route) {
  return Object.fromEntries(Object.entries(route).filter(([k, v]) => v !== 0 && !(k === 'bytes' && !v.upstream && !v.downstream)));
}

/** Panic disarms all there is, whether or not each rule is told of too. @param {State} s @param {Event} e @returns {State} */
function allOff(s, e) {
  const touched = { ...s.touched };
  const routes = s.routes.map((r) => ({
    ...r,
    rules: (r.rules ?? []).map((rule) => {
      touched[ruleKey(r.name, rule.name)] = e.seq;
      return rule.armed ? { ...rule, armed: false } : rule;
    }),
  }));
  return { ...s, routes, touched };
}

/** The answer to a call that changed a rule: the same as its event, and as final.
 * @param {State} s @param {string} route @param {any} result @returns {State} */
function changed(s, route, result) {
  const rule = result?.rule;
  if (!rule || (s.touched[ruleKey(route, rule.name)] ?? 0) > result.seq) return s;
  return setRule(s, { seq: result.seq, time: '', type: '', route, rule: rule.name }, { rule, sessions: result.sessions });
}

/** @template T @param {Record<string, T>} map @param {string} key @returns {Record<string, T>} */
function without(map, key) {
  if (!(key in map)) return map;
  const { [key]: _, ...rest } = map;
  return rest;
}

/** Holds the state and tells who listens that it changed. */
export class Store {
  /** @type {Set<() => void>} */
  #listeners = new Set();

  state = initial;

  /** @param {{type: string, [k: string]: any}} action */
  dispatch(action) {
    const next = reduce(this.state, action);
    if (next === this.state) return;
    this.state = next;
    for (const f of this.#listeners) f();
  }

  /** @param {() => void} f @returns {() => void} what ends it */
  subscribe(f) {
    this.#listeners.add(f);
    return () => this.#listeners.delete(f);
  }
}
