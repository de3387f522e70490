// @ts-check
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { plural } from './format.js';
import { cls, html, prose } from './html.js';
import { MistakeList } from './mistakes.js';
import { findFault, freeName, gateFields, matchFields, paramFields, ruleFrom, sortMistakes, valuesOf } from './rulevalues.js';

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
  const sentFrom = useRef(/** @type {Element|null} */ (null));
  useEffect(() => form.current?.querySelector(rule ? '.field input, .field select' : 'select')?.focus(), []);

  const params = paramFields(fault);
  const ids = ['fault', ...params.map((f) => f.id), 'name', ...matchFields.map((f) => f.id), ...gateFields.map((f) => f.id)];
  const mistakes = sortMistakes(failure, ids);
  // Where one still is where one sent it from, the first mistake is where to go on.
  useLayoutEffect(() => {
    const wrong = [...form.current.querySelectorAll('[aria-invalid="true"]')];
    for (const e of wrong) e.closest('details')?.setAttribute('open', '');
    if ([sentFrom.current, document.body].includes(document.activeElement)) wrong[0]?.focus();
  }, [failure]);
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
    sentFrom.current = document.activeElement;
    const armed = /** @type {any} */ (e).submitter?.value !== 'disarmed';
    const more = { key: formKey, ...(values.ttl && armed ? { ttl: values.ttl } : {}), ...(rule ? { if_rev: rule.rev } : {}) };
    if (await actions.set(route.name, ruleFrom(values, fault, armed), more)) onClose();
  };
  const field = (/** @type {Field} */ f) => html`<${FieldInput} key=${f.id} field=${f} id=${prefix + f.id} value=${values[f.id] ?? ''}
    errors=${mistakes.at[f.id]} onInput=${set(f.id)} />`;
  const filled = (/** @type {Field[]} */ fs) => fs.some((f) => values[f.id]);

  return html`<form class="rule-form" ref=${form} noValidate onSubmit=${submit} aria-label=${rule ? `Adjust ${rule.name}` : `Arm a fault on ${route.name}`}
    onKeyDown=${(/** @type {KeyboardEvent} */ e) => e.key === 'Escape' && onClose()}>
    <div class="form-head">
      <h3>${rule ? html`Adjust <code>${rule.name}</code>` : html`Arm a fault on <code>${route.name}</code>`}</h3>
      <button type="button" class="quiet" onClick=${onClose}>Close</button>
    </div>
    <div class="fields">
      <div class="field wide">
        <label for="${prefix}fault">fault</label>
        <select id="${prefix}fault" value=${fault?.name ?? ''} onChange=${choose} class=${cls(mistakes.at.fault && 'wrong')}
          aria-invalid=${Boolean(mistakes.at.fault)} aria-describedby="${prefix}about${mistakes.at.fault ? ` ${prefix}fault-help` : ''}">
          ${!fault && html`<option value="">choose…</option>`}
          ${groups(faults).map(([label, list]) => html`<optgroup key=${label} label=${label}>
            ${list.map((f) => html`<option key=${f.name} value=${f.name}>${f.name}</option>`)}</optgroup>`)}
        </select>
        <p class="about" id="${prefix}about">${fault && html`${fault.is && html`<code>${fault.is}</code><br />`}<b>On the wire:</b> ${prose(fault.summary)}${fault.client && html`<br /><b>The client:</b> ${prose(fault.client)}`}`}</p>
        ${mistakes.at.fault && html`<${Help} id="${prefix}fault-help" errors=${mistakes.at.fault} />`}
      </div>
      ${fault && params.map(field)}
      ${fault && field({ id: 'name', name: 'name', type: 'text', help: replaces ? 'replaces the rule of that name' : 'of the rule on this route', initial: '' })}
    </div>
    ${fault && html`
      <${Fold} title="Which traffic" wanted=${filled(matchFields)}>${matchFields.map(field)}<//>
      <${Fold} title="How often, how long" wanted=${filled(gateFields)}>${gateFields.map(field)}<//>
      <${Summary} mistakes=${mistakes} marked=${ids.filter((id) => mistakes.at[id])} />
      <div class="acts">
        <button class="primary" type="submit" value="armed" disabled=${Boolean(blocked) || Boolean(busy)}>${busy ? 'Sending…' : 'Arm it'}</button>
        <button type="submit" value="disarmed" disabled=${Boolean(blocked) || Boolean(busy)}>Save, not armed</button>
      </div>`}
  </form>`;
}

/** Where the mistakes are if there are several, and those that no field is for.
 * @param {{mistakes: ReturnType<typeof sortMistakes>, marked: string[]}} props */
function Summary({ mistakes: { count, rest }, marked }) {
  if (count < 2 && !rest.length) return null;
  const names = marked.map((id) => id.replace(/.*\./, '')).join(', ');
  return html`<div class="error" role="alert">
    ${count > 1 && html`<p>${plural(count, 'mistake')}${names && `, marked at ${names}`}</p>`}
    ${rest.length > 0 && html`<${MistakeList} of=${rest} />`}
  </div>`;
}

/**
 * Fields that most rules leave alone. It unfolds for what stands in it and for a
 * mistake, and never folds by itself: somebody may be typing there.
 * @param {{title: string, wanted: boolean, children: any}} props
 */
function Fold({ title, wanted, children }) {
  const [open, setOpen] = useState(wanted);
  useEffect(() => {
    if (wanted) setOpen(true);
  }, [wanted]);
  return html`<details open=${open} onToggle=${(/** @type {any} */ e) => setOpen(e.target.open)}>
    <summary>${title}</summary><div class="fields">${children}</div></details>`;
}

/** @param {{field: Field, id: string, value: string, errors?: string[], onInput: (e: any) => void}} props */
function FieldInput({ field, id, value, errors, onInput }) {
  const common = {
    id, value, onInput, class: cls(errors && 'wrong'), 'aria-invalid': Boolean(errors), 'aria-describedby': `${id}-help`,
    'aria-required': field.required || undefined,
  };
  return html`<div class="field">
    <label for=${id}>${field.name}${field.required && html` <span class="required">required</span>`}</label>
    ${field.choices
      ? html`<select ...${common}>${choices(field, value).map((c) => html`<option key=${c} value=${c}>${c || 'any'}</option>`)}</select>`
      : html`<input ...${common} type="text" inputmode=${field.type === 'number' ? 'numeric' : undefined} autocomplete="off" autocapitalize="off" spellcheck="false" />`}
    <${Help} id="${id}-help" errors=${errors}>${field.help}<//>
  </div>`;
}

/** What a field is for, or what is wrong with it. @param {{id: string, errors?: string[], children?: any}} props */
function Help({ id, errors, children }) {
  return html`<div class=${errors ? 'error' : 'help'} id=${id}>${errors ? errors.map((e) => html`<p>${e}</p>`) : children}</div>`;
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
