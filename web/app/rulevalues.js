// @ts-check
// Between a rule and what stands in its form: every value as text, under the name
// that the box uses in its errors ("params.at"). Pure.

import { canonical } from './format.js';

/** @typedef {import('./store.js').Rule} Rule */
/** @typedef {import('./store.js').Fault} Fault */
/**
 * @typedef {{id: string, name: string, help: string, type: 'text'|'number'|'choice'|'flag', choices?: string[],
 *   required?: boolean, initial: string}} Field
 */

/** The parameters of a fault, from its JSON Schema. @param {Fault|undefined} fault @returns {Field[]} */
export function paramFields(fault) {
  const schema = fault?.params ?? {};
  const properties = schema.properties ?? {};
  const required = new Set(schema.required ?? []);
  return (schema['x-order'] ?? Object.keys(properties)).map((/** @type {string} */ name) => {
    const p = properties[name];
    const initial = toText(fault?.defaults?.[name] ?? p.default);
    return { id: `params.${name}`, name, required: required.has(name), initial, ...kindOf(p), help: p.description ?? '' };
  });
}

/** A preset may bear its kind's name written otherwise: the exact name goes first.
 * @param {Fault[]} faults @param {string} name */
export function findFault(faults, name) {
  return faults.find((f) => f.name === name) ?? faults.find((f) => canonical(f.name) === canonical(name));
}

/** @param {any} p @returns {{type: Field['type'], choices?: string[]}} */
function kindOf(p) {
  if (Array.isArray(p.enum)) return { type: 'choice', choices: p.enum.map(toText) };
  const types = [p.type].flat();
  if (types.includes('boolean')) return { type: 'flag', choices: ['true', 'false'] };
  if (['int', 'number'].includes(p['x-type'] ?? p.type)) return { type: 'number' };
  return { type: 'text' };
}

/** @type {Field[]} */
export const matchFields = [
  { id: 'match.direction', name: 'direction', type: 'choice', choices: ['', 'downstream', 'upstream', 'both'], help: 'which way the bytes flow; downstream unless told', initial: '' },
  { id: 'match.method', name: 'method', type: 'text', help: 'GET', initial: '' },
  { id: 'match.path', name: 'path', type: 'text', help: '/api/*', initial: '' },
  { id: 'match.host', name: 'host', type: 'text', help: '*.example', initial: '' },
  { id: 'match.header', name: 'header', type: 'text', help: "of the request, name: value; several apart by ';'", initial: '' },
  { id: 'match.status', name: 'status', type: 'text', help: '5xx or 200-299', initial: '' },
  { id: 'match.session', name: 'session', type: 'text', help: 'by number: 3, 2-5, 4-, 3n for every third', initial: '' },
  { id: 'match.exchange', name: 'exchange', type: 'text', help: 'by number on its session: 2- is all but the first', initial: '' },
  { id: 'match.reused', name: 'reused', type: 'choice', choices: ['', 'true', 'false'], help: 'true: not the first exchange of its session', initial: '' },
  { id: 'match.idle', name: 'idle', type: 'text', help: 'quiet before it: 2s-', initial: '' },
  { id: 'match.client', name: 'client', type: 'text', help: 'address, address:port or CIDR', initial: '' },
];

/** @type {Field[]} */
export const gateFields = [
  { id: 'gate.times', name: 'times', type: 'number', help: 'fires at most so often', initial: '' },
  { id: 'gate.skip', name: 'skip', type: 'number', help: 'lets so many pass first', initial: '' },
  { id: 'gate.every', name: 'every', type: 'number', help: 'then only each N-th', initial: '' },
  { id: 'gate.probability', name: 'probability', type: 'text', help: '30% or 0.3, drawn from the seed', initial: '' },
  { id: 'gate.key', name: 'key', type: 'text', help: 'draw by path, client or header:NAME', initial: '' },
  { id: 'ttl', name: 'ttl', type: 'text', help: 'disarms by itself after: 30s', initial: '' },
];

/** A name for a new rule that replaces no other. @param {{name: string}[]} rules @param {string} base */
export function freeName(rules, base) {
  const taken = new Set(rules.map((r) => canonical(r.name)));
  let name = base;
  for (let n = 2; taken.has(canonical(name)); n++) name = `${base}-${n}`;
  return name;
}

/** What stands in the form of a rule, or of a fault that is to become one.
 * @param {Rule|undefined} rule @param {Fault|undefined} fault @returns {Record<string, string>} */
export function valuesOf(rule, fault) {
  /** @type {Record<string, string>} */
  const values = { name: rule?.name ?? fault?.name ?? '' };
  for (const f of [...paramFields(fault), ...matchFields, ...gateFields]) values[f.id] = f.initial;
  for (const [k, v] of Object.entries(rule?.params ?? {})) values[`params.${k.replaceAll('-', '_')}`] = toText(v);
  for (const [k, v] of Object.entries(rule?.match ?? {})) values[`match.${k}`] = k === 'header' ? headerText(v) : toText(v);
  for (const [k, v] of Object.entries(rule?.gate ?? {})) if (v) values[`gate.${k}`] = toText(v);
  return values;
}

/** The rule that a form means: what is empty or as the fault has it anyway is left out.
 * @param {Record<string, string>} values @param {Fault} fault @param {boolean} armed */
export function ruleFrom(values, fault, armed) {
  /** @type {Record<string, any>} */
  const params = {};
  for (const f of paramFields(fault)) {
    const v = values[f.id] ?? '';
    if (v !== '' && v !== f.initial) params[f.name] = fromText(v, f.type);
  }
  const match = pick(values, matchFields, 'match.');
  if (match.header) match.header = headerMap(match.header);
  const gate = pick(values, gateFields, 'gate.');
  /** @type {Record<string, any>} */
  const rule = { name: values.name || fault.name, fault: fault.name, armed };
  for (const [k, v] of Object.entries({ params, match, gate })) if (Object.keys(v).length) rule[k] = v;
  return rule;
}

/** @param {Record<string, string>} values @param {Field[]} fields @param {string} prefix @returns {Record<string, any>} */
function pick(values, fields, prefix) {
  /** @type {Record<string, any>} */
  const out = {};
  for (const f of fields) {
    const v = (values[f.id] ?? '').trim();
    if (f.id.startsWith(prefix) && v !== '') out[f.name] = fromText(v, f.name === 'reused' ? 'flag' : f.type);
  }
  return out;
}

/**
 * The mistakes of a refused call, by the field of the form they are about; those of no field as the rest.
 * @param {import('./store.js').Failure|undefined} failure @param {string[]} ids
 * @returns {{at: Record<string, string[]>, rest: import('./store.js').Mistake[], count: number}}
 */
export function sortMistakes(failure, ids) {
  const all = failure ? [failure, ...failure.more] : [];
  /** @type {Record<string, string[]>} */
  const at = {};
  for (const m of all) {
    const id = fieldOf(m.field, ids);
    if (id) at[id] = [...(at[id] ?? []), m.message];
  }
  return { at, rest: all.filter((m) => !fieldOf(m.field, ids)), count: all.length };
}

/** Which field of the form an error of the box is about; empty: none of them.
 * @param {string} field @param {string[]} ids */
export function fieldOf(field, ids) {
  const path = field.replace(/^rule\./, '').replaceAll('-', '_');
  if (ids.includes(path)) return path;
  // "match.header.Host" is about the field "match.header".
  return ids.find((id) => path.startsWith(`${id}.`) || path.startsWith(`${id}[`)) ?? ids.find((id) => id.endsWith(`.${path}`)) ?? '';
}

/** @param {any} v */
function toText(v) {
  return v === undefined || v === null ? '' : String(v);
}

/** What is no number after all is sent as it is: the box says what it expected. @param {string} v @param {Field['type']} type */
function fromText(v, type) {
  if (type === 'flag') return v === 'true';
  if (type === 'number' && /^-?\d+(\.\d+)?$/.test(v.trim())) return Number(v);
  return v;
}

/** @param {Record<string, string>} map */
function headerText(map) {
  return Object.entries(map).map(([n, g]) => `${n}: ${g}`).join('; ');
}

/** @param {string} text @returns {Record<string, string>} */
function headerMap(text) {
  return Object.fromEntries(text.split(';').filter((p) => p.trim()).map((p) => {
    const [name, ...rest] = p.split(':');
    return [name.trim(), rest.join(':').trim() || '*'];
  }));
}
