// @ts-check
import { useRef, useState } from 'preact/hooks';
import { ruleOf } from './actions.js';
import { bytes, canonical, count } from './format.js';
import { html, memo } from './html.js';
import { RuleRow } from './rule.js';
import { RuleForm } from './ruleform.js';
import { findFault } from './rulevalues.js';
import { ruleKey } from './store.js';

/** @typedef {import('./store.js').Route} Route */
/** @typedef {import('./store.js').Fault} Fault */

/** A route: from where to where, how much, and every rule on it. */
export const RouteCard = memo(
  /**
   * @param {{route: Route, faults: Fault[], inForce: Record<string, number>, busy: Record<string, string>,
   *   failures: Record<string, import('./store.js').Failure>, blocked: string, live: boolean,
   *   actions: import('./actions.js').Actions, api: string}} props
   */
  ({ route, faults, inForce, busy, failures, blocked, live, actions, api }) => {
    /** @type {[null|{rule?: import('./store.js').Rule, fault: string}, (f: any) => void]} */
    const [form, setForm] = useState(/** @type {any} */ (null));
    const opener = useRef(/** @type {any} */ (null));
    const rules = route.rules ?? [];
    const headline = faults.filter((f) => f.headline);
    const isHeadline = (/** @type {string} */ name) => headline.some((f) => canonical(f.name) === canonical(name));
    const others = rules.filter((r) => !isHeadline(r.name));
    const formKey = `form ${route.name}`;

    const open = (/** @type {any} */ what) => {
      opener.current = document.activeElement;
      actions.forgive(formKey);
      setForm(what);
    };
    const close = () => {
      setForm(null);
      actions.forgive(formKey);
      opener.current?.focus?.();
    };
    /** @param {string} name @param {import('./store.js').Rule|undefined} rule @param {Fault|undefined} fault */
    const row = (name, rule, fault) => {
      const key = ruleKey(route.name, rule?.name ?? name);
      const cannot = fault?.http && route.protocol === 'tcp' ? `needs an http route; ${route.name} is tcp` : '';
      return html`<${RuleRow} key=${name} route=${route.name} name=${rule?.name ?? name} rule=${rule} fault=${fault}
        inForce=${inForce[key] ?? route.sessions} busy=${busy[key]} failure=${failures[key]} blocked=${blocked || cannot}
        actions=${actions} api=${api} onEdit=${() => open({ rule, fault: rule?.fault ?? name })} />`;
    };
    return html`<section class="card route" aria-label="Route ${route.name}">
      <div class="route-head">
        <div>
          <h2>${route.name} <span class="protocol">${route.protocol}</span></h2>
          <p class="path"><${Address} text=${route.listen} route=${route} />
            <span aria-hidden="true"> → </span><span class="hidden"> relays to </span><code>${route.upstream || 'any origin'}</code></p>
        </div>
        <${Figures} route=${route} />
      </div>
      <div class="rules">
        ${headline.map((f) => row(f.name, ruleOf(rules, f.name), f))}
        ${others.map((r) => row(r.name, r, findFault(faults, r.fault)))}
      </div>
      <div class="acts under">
        <button type="button" class="add" disabled=${Boolean(blocked)} aria-expanded=${Boolean(form)} onClick=${() => (form ? close() : open({ fault: '' }))}>
          <span aria-hidden="true">+ </span>Arm any fault…</button>
        <button type="button" class="add" aria-label="Watch bytes of ${route.name}" disabled=${!live} onClick=${() => actions.watch({ route: route.name })}>Watch bytes</button>
      </div>
      ${form && html`<${RuleForm} key=${form.rule?.name ?? form.fault} route=${route} faults=${faults} rule=${form.rule} fault=${form.fault}
        busy=${busy[formKey]} failure=${failures[formKey]} blocked=${blocked} formKey=${formKey} actions=${actions} onClose=${close} />`}
    </section>`;
  },
);

/** The listening address; a link where a browser can follow it. @param {{text: string, route: Route}} props */
function Address({ text, route }) {
  return route.protocol === 'tcp'
    ? html`<code>${text}</code>`
    : html`<a href="http://${text}/" target="_blank" rel="noreferrer"><code>${text}</code></a>`;
}

/** @param {{route: Route}} props */
function Figures({ route }) {
  return html`<dl class="figures">
    <div><dt>live sessions</dt><dd>${count(route.sessions)}</dd></div>
    <div><dt>exchanges</dt><dd>${count(route.exchanges)}</dd></div>
    <div><dt>upstream</dt><dd>${bytes(route.bytes?.upstream)}</dd></div>
    <div><dt>downstream</dt><dd>${bytes(route.bytes?.downstream)}</dd></div>
    ${route.failed > 0 && html`<div class="bad"><dt>failed dials</dt><dd>${count(route.failed)}</dd></div>`}
  </dl>`;
}
