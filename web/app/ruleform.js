// @ts-check
import { useEffect, useRef, useState } from 'preact/hooks';
import { cls, html, prose } from './html.js';
import { fieldOf, findFault, freeName, gateFields, matchFields, paramFields, ruleFrom, valuesOf } from './rulevalues.js';

/** @typedef {import('./store.js').Fault} Fault */
/** @typedef {import('./rulevalues.js').Field} Field */

/**
 * Makes a rule of any fault of the catalogue, or adjusts one. Its fields come from
 * the box's declaration of the fault, its errors from the box.
 * @param {{route: import('./store.js').Route, faults: Fault[], rule?: import('./store.js').Rule, fault: string, busy?: string,
 *   failure?: import('./store.js').Failure, blocked: string, formKey: string,
 *   actions: import('./actions.js').Actions, onClose: () => void}} props
 */
export function RuleForm({ route, faults, rule, fault: first, busy, failure, blocked, formKey, actions, onClose }) {
  const [chosen, setChosen] = useState(first);
  const fault = findFault(faults, chosen);
  const [values, setValues] = useState(() => valuesOf(rule, fault));
  const [named, setNamed] = useState(Boolean(rule));
  const form = useRef(/** @type {any} */ (null));
  useEffect(() => form.current?.querySelector(rule ? '.field input, .field select' : 'select')?.focus(), []);

  const params = paramFields(fault);
  const ids = ['name', 'fault', ...params.map((f) => f.id), ...matchFields.map((f) => f.id), ...gateFields.map((f) => f.id)];
  const wrong = failure ? fieldOf(failure.field, ids) : '';
  const replaces = values.name !== rule?.name && (route.rules ?? []).some((r) => r.name === values.name);
  const prefix = `${route.name}-form-`;

  const choose = (/** @type {any} */ e) => {
    const next = findFault(faults, e.target.value);
    setChosen(e.target.value);
    setValues((v) => ({ ...valuesOf(undefined, next), ...other(v), name: named ? v.name : freeName(route.rules ?? [], next?.name ?? '') }));
    actions.forgive(formKey);
  };
  const set = (/** @type {string} */ id) => (/** @type {any} */ e) => {
    if (id === 'name') setNamed(true);
    setValues((v) => ({ ...v, [id]: e.target.value }));
  };
  const submit = async (/** @type {Event} */ e) => {
    e.preventDefault();
    if (!fault) return;
    const armed = /** @type {any} */ (e).submitter?.value !== 'disarmed';
    const more = { key: formKey, ...(values.ttl && armed ? { ttl: values.ttl } : {}), ...(rule ? { if_rev: rule.rev } : {}) };
    if (await actions.set(route.name, ruleFrom(values, fault, armed), more)) onClose();
  };
  const field = (/** @type {Field} */ f) => html`<${FieldInput} key=${f.id} field=${f} id=${prefix + f.id} value=${values[f.id] ?? ''}
    error=${wrong === f.id ? failure?.message : ''} onInput=${set(f.id)} />`;
  const filled = (/** @type {Field[]} */ fs) => fs.find((f) => wrong === f.id)?.id ?? String(fs.some((f) => values[f.id]));

  return html`<form class="rule-form" ref=${form} noValidate onSubmit=${submit} aria-label=${rule ? `Adjust ${rule.name}` : `Arm a fault on ${route.name}`}
    onKeyDown=${(/** @type {KeyboardEvent} */ e) => e.key === 'Escape' && onClose()}>
    <div class="form-head">
      <h3>${rule ? html`Adjust <code>${rule.name}</code>` : html`Arm a fault on <code>${route.name}</code>`}</h3>
      <button type="button" class="quiet" onClick=${onClose}>Close</button>
    </div>
    <div class="fields">
      <div class="field wide">
        <label for="${prefix}fault">fault</label>
        <select id="${prefix}fault" value=${fault?.name ?? ''} onChange=${choose} aria-describedby="${prefix}about">
          ${!fault && html`<option value="">choose…</option>`}
          ${groups(faults).map(([label, list]) => html`<optgroup key=${label} label=${label}>
            ${list.map((f) => html`<option key=${f.name} value=${f.name}>${f.name}</option>`)}</optgroup>`)}
        </select>
        <p class="about" id="${prefix}about">${fault && html`${fault.is && html`<code>${fault.is}</code><br />`}<b>On the wire:</b> ${prose(fault.summary)}${fault.client && html`<br /><b>The client:</b> ${prose(fault.client)}`}`}</p>
      </div>
      ${fault && params.map(field)}
      ${fault && field({ id: 'name', name: 'name', type: 'text', help: replaces ? 'replaces the rule of that name' : 'of the rule on this route', initial: '' })}
    </div>
    ${fault && html`
      <${Fold} title="Which traffic" wanted=${filled(matchFields)}>${matchFields.map(field)}<//>
      <${Fold} title="How often, how long" wanted=${filled(gateFields)}>${gateFields.map(field)}<//>
      ${failure && !wrong && html`<p class="error" role="alert">${failure.field && html`<code>${failure.field}</code>: `}${failure.message}</p>`}
      <div class="acts">
        <button class="primary" type="submit" value="armed" disabled=${Boolean(blocked) || Boolean(busy)}>${busy ? 'Sending…' : 'Arm it'}</button>
        <button type="submit" value="disarmed" disabled=${Boolean(blocked) || Boolean(busy)}>Save, not armed</button>
      </div>`}
  </form>`;
}

/**
 * Fields that most rules leave alone. It unfolds for what stands in it and for an
 * error, and never folds by itself: somebody may be typing there.
 * @param {{title: string, wanted: string, children: any}} props wanted is "false", or why it is to be open
 */
function Fold({ title, wanted, children }) {
  const [open, setOpen] = useState(wanted !== 'false');
  useEffect(() => {
    if (wanted !== 'false') setOpen(true);
  }, [wanted]);
  return html`<details open=${open} onToggle=${(/** @type {any} */ e) => setOpen(e.target.open)}>
    <summary>${title}</summary><div class="fields">${children}</div></details>`;
}

/** @param {{field: Field, id: string, value: string, error?: string, onInput: (e: any) => void}} props */
function FieldInput({ field, id, value, error, onInput }) {
  const common = {
    id, value, onInput, class: cls(error && 'wrong'), 'aria-invalid': Boolean(error), 'aria-describedby': `${id}-help`,
    'aria-required': field.required || undefined,
  };
  return html`<div class="field">
    <label for=${id}>${field.name}${field.required && html` <span class="required">required</span>`}</label>
    ${field.choices
      ? html`<select ...${common}>${choices(field, value).map((c) => html`<option key=${c} value=${c}>${c || 'any'}</option>`)}</select>`
      : html`<input ...${common} type="text" inputmode=${field.type === 'number' ? 'numeric' : undefined} autocomplete="off" autocapitalize="off" spellcheck="false" />`}
    <p class=${error ? 'error' : 'help'} id="${id}-help" role=${error ? 'alert' : undefined}>${error || field.help}</p>
  </div>`;
}

/** @param {Field} field @param {string} value */
function choices(field, value) {
  const all = field.choices ?? [];
  return all.includes(value) ? all : [value, ...all];
}

/** What is not about the fault's own parameters. @param {Record<string, string>} values */
function other(values) {
  return Object.fromEntries(Object.entries(values).filter(([k]) => !k.startsWith('params.')));
}

/** @param {Fault[]} faults @returns {[string, Fault[]][]} */
function groups(faults) {
  const isPreset = (/** @type {Fault} */ f) => Boolean(f.preset_of);
  const names = { connect: 'Faults: on connect', bytes: 'Faults: on bytes', packet: 'Faults: beneath TCP', message: 'Faults: on HTTP messages' };
  /** @type {[string, Fault[]][]} */
  const out = [
    ['The five', faults.filter((f) => f.headline)],
    ['Presets', faults.filter((f) => isPreset(f) && !f.headline)],
    ...Object.entries(names).map(([g, label]) => /** @type {[string, Fault[]]} */ ([label, faults.filter((f) => !isPreset(f) && !f.headline && f.group === g)])),
    ['Faults', faults.filter((f) => !isPreset(f) && !f.headline && !(String(f.group) in names))],
  ];
  return out.filter(([, list]) => list.length > 0);
}
