// @ts-check
// Values to words. Pure: no clock, no document.

/** @typedef {import('./store.js').Rule} Rule */
/** @typedef {import('./store.js').Exchange} Exchange */

/** 1,234,567 @param {number|null|undefined} n */
export function count(n) {
  return String(Math.round(n ?? 0)).replace(/\B(?=(\d{3})+$)/g, ',');
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** 1.5 KiB: three figures, units of 1024. @param {number|null|undefined} n */
export function bytes(n) {
  let v = n ?? 0;
  let u = 0;
  while (v >= 999.5 && u < units.length - 1) {
    v /= 1024;
    u++;
  }
  const digits = u === 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;
  return `${v.toFixed(digits)} ${units[u]}`;
}

/** 850ms, 3s, 4m 12s, 2h 05m, 3d 4h. @param {number} ms */
export function duration(ms) {
  if (!(ms > 0)) return '0s';
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s}s`;
  const pad = (/** @type {number} */ v) => String(v).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)}m ${pad(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${pad(Math.floor(s / 60) % 60)}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor(s / 3600) % 24}h`;
}

/** 14:03:59.120, local time. @param {string|number} when */
export function clock(when) {
  const d = new Date(when);
  if (Number.isNaN(d.getTime())) return '';
  const pad = (/** @type {number} */ v, n = 2) => String(v).padStart(n, '0');
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)}`;
}

/** "1 hit", "2 hits". @param {number} n @param {string} word @param {string} [plural] */
export function plural(n, word, plural = word + 's') {
  return `${count(n)} ${n === 1 ? word : plural}`;
}

/** In names '-' and '_' are the same, and so is case. @param {string} name */
export function canonical(name) {
  return name.toLowerCase().replaceAll('-', '_');
}

/** "path /api/*, exchange 2-": empty when everything matches. @param {Record<string, any>|undefined} match */
export function matchText(match) {
  return Object.entries(match ?? {})
    .map(([key, v]) => (key === 'header' ? Object.entries(v).map(([n, g]) => `header ${n}: ${g}`).join(', ') : `${key} ${v}`))
    .join(', ');
}

/** "skip 2, 30% of them, at most 1 time". @param {Record<string, any>|undefined} gate */
export function gateText(gate) {
  const g = gate ?? {};
  const words = [];
  if (g.skip) words.push(`skips ${count(g.skip)}`);
  if (g.every > 1) words.push(`every ${ordinal(g.every)}`);
  if (g.probability !== undefined && g.probability !== '') words.push(`probability ${g.probability}`);
  if (g.key) words.push(`by ${g.key}`);
  if (g.times) words.push(`at most ${plural(g.times, 'time')}`);
  return words.join(', ');
}

/** @param {number} n */
function ordinal(n) {
  const tens = n % 100;
  const suffix = tens >= 11 && tens <= 13 ? 'th' : ['th', 'st', 'nd', 'rd'][n % 10] ?? 'th';
  return n + suffix;
}

/** What was delivered of a response: "512 of 1,024 B", "2,048 B". @param {Exchange['response']} r */
export function sentOf(r) {
  if (!r.status && !r.sent) return '';
  return r.declared === null || r.declared === undefined ? `${count(r.sent)} B` : `${count(r.sent)} of ${count(r.declared)} B`;
}

/** What fired on an exchange: "truncate at body:512". @param {Exchange['rules']} rules */
export function firedText(rules) {
  return (rules ?? []).map((f) => (f.at ? `${f.rule} at ${f.at}` : f.rule)).join(', ');
}

/**
 * The command that does what this rule does, to paste into a POSIX shell.
 * @param {string} route
 * @param {{name: string, fault: string, params?: Record<string, any>, match?: Record<string, any>, gate?: Record<string, any>}} rule
 * @param {string} [api] the box, left out where it is the command's default
 */
export function command(route, rule, api) {
  const words = ['crimp', 'arm', route, rule.fault];
  for (const [k, v] of Object.entries(rule.params ?? {})) words.push(`${k}=${v}`);
  if (rule.name && canonical(rule.name) !== canonical(rule.fault)) words.push('--name', rule.name);
  for (const [k, v] of Object.entries(rule.match ?? {})) {
    if (k === 'header') for (const [n, g] of Object.entries(v)) words.push('--match', `header=${n}:${g}`);
    else words.push('--match', `${k}=${v}`);
  }
  for (const k of ['times', 'skip', 'every', 'probability']) {
    const v = rule.gate?.[k];
    if (v !== undefined && v !== 0 && v !== '') words.push(`--${k}`, String(v));
  }
  return shellLine(words, api);
}

/**
 * The command that shows all the bytes of a session or a route.
 * @param {{route?: string, session?: string}} of @param {string} [api]
 */
export function captureCommand(of, api) {
  return shellLine(['crimp', 'capture', ...Object.entries(of).flatMap(([k, v]) => [`--${k}`, v])], api);
}

/** @param {string[]} words @param {string} [api] */
function shellLine(words, api) {
  const to = api && api !== 'http://127.0.0.1:27467' ? ['--api', api] : [];
  return [...words, ...to].map(quote).join(' ');
}

/** @param {string} word */
function quote(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The first word of an event's type: what the log filters by. @param {string} type */
export function topic(type) {
  return type.split('.', 1)[0];
}

/**
 * One line for the log.
 * @param {{type: string, rule?: string, data?: any}} event
 */
export function describe(event) {
  const say = sentences[/** @type {keyof typeof sentences} */ (event.type)];
  return say ? say(event.data ?? {}, event) : short(event.data);
}

/** @type {Record<string, (d: any, e: any) => string>} */
const sentences = {
  'session.opened': (d) => `${d.client} to ${d.upstream || 'any origin'}`,
  'session.closed': (d) => list(
    d.outcome,
    d.ended && `client ${d.ended.client || 'open'}, server ${d.ended.server || 'open'}`,
    d.bytes && `up ${bytes(d.bytes.upstream)}, down ${bytes(d.bytes.downstream)}`,
    d.cause && `by ${d.cause}`,
    ...(d.odd ?? []),
  ),
  'session.failed': (d) => `${d.upstream} did not answer: ${d.error}`,
  'session.opaque': (d) => `${d.direction} goes on as opaque bytes from ${count(d.offset)}: ${d.reason}`,
  'exchange.started': (d) => list(requestLine(d)),
  'exchange.finished': (d) => list(
    requestLine(d),
    d.response?.status ? `${d.response.status}` : 'no answer',
    d.response && sentOf(d.response),
    d.response?.end && d.response.end !== 'whole' && d.response.end,
    firedText(d.rules),
    ...(d.odd ?? []),
  ),
  'rule.armed': (d) => list(d.rule?.summary, ruleBy(d), d.sessions !== undefined && `in force on ${plural(d.sessions, 'live session')}`),
  'rule.disarmed': (d) => list(d.removed ? 'removed' : d.rule?.summary, ruleBy(d)),
  'rule.changed': (d) => list(d.rule?.summary, ruleBy(d)),
  'rule.spent': (d) => list('fired for the last time its gate allows', d.rule && plural(d.rule.hits, 'hit')),
  'rule.missed': (d) => list(`${d.fault ?? 'fault'} missed`, d.at, d.reason),
  'fault.fired': (d) => list(
    d.at ? `${d.fault} at ${d.at}` : d.fault,
    d.direction,
    d.end && d.end.toUpperCase(),
    `${count(d.bytes)} B out before it`,
    d.acked !== undefined && d.acked !== d.bytes && `${count(d.acked)} B acknowledged`,
  ),
  'route.added': (d) => routeText(d),
  'route.changed': (d) => routeText(d),
  'route.removed': (d) => list('no longer listening', d.who && `by ${d.who}`),
  'control.joined': (d) => list(d.name || d.client, d.remote),
  'control.left': (d) => list(d.name || d.client, d.remote),
  'box.started': (d) => list(d.version && `crimp ${d.version}`, d.seed !== undefined && `seed ${d.seed}`, d.config),
  'box.reloaded': (d) => list('configuration reloaded', ruleBy(d)),
  'box.panicked': (d) => list('everything off', ruleBy(d), rulesText(d.rules)),
  'box.released': (d) => list('arming is allowed again', ruleBy(d), rulesText(d.rules)),
  'box.reverted': (d) => list('back to the configuration', ruleBy(d), rulesText(d.rules)),
};

/** @param {any} d */
function requestLine(d) {
  return d.request ? `${d.request.method} ${d.request.target}` : '';
}

/** @param {any} d */
function ruleBy(d) {
  return list(d.who && `by ${d.who}`, d.why && `“${d.why}”`).replace(' · ', ', ');
}

/** @param {any} d */
function routeText(d) {
  return list(d.route && `${d.route.listen} to ${d.route.upstream || 'any origin'}`, d.who && `by ${d.who}`);
}

/** @param {any} rules */
function rulesText(rules) {
  return Array.isArray(rules) && rules.length ? rules.map((r) => (typeof r === 'string' ? r : r.name)).join(', ') : '';
}

/** @param {...any} parts */
function list(...parts) {
  return parts.filter((p) => p !== undefined && p !== null && p !== '' && p !== false).join(' · ');
}

/** An event this page does not know yet: its data as it came. @param {any} data */
function short(data) {
  const text = data === undefined || data === null ? '' : JSON.stringify(data);
  return text.length > 160 ? text.slice(0, 159) + '…' : text;
}
