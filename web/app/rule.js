// @ts-check
import { useEffect, useState } from 'preact/hooks';
import { CopyButton } from './copy.js';
import { command, duration, gateText, matchText, plural } from './format.js';
import { cls, html, prose } from './html.js';
import { Mistakes } from './mistakes.js';
import { Switch } from './switch.js';

/** @typedef {import('./store.js').Rule} Rule */
/** @typedef {import('./store.js').Fault} Fault */

/**
 * One rule, or a headline preset that may become one: what it is, whether it is
 * armed, what it has done.
 * @param {{route: string, name: string, rule?: Rule, fault?: Fault, inForce: number, busy?: string,
 *   failure?: import('./store.js').Failure, blocked: string, actions: import('./actions.js').Actions, api: string,
 *   onEdit: () => void}} props
 */
export function RuleRow({ route, name, rule, fault, inForce, busy, failure, blocked, actions, api, onEdit }) {
  const on = Boolean(rule?.armed);
  const status = `status ${route} ${name}`.replaceAll(' ', '-');
  const scope = [matchText(rule?.match), gateText(rule?.gate)].filter(Boolean).join(' · ');
  return html`<article class=${cls('rule', on && 'armed', busy && 'busy')} aria-label="${route} ${name}">
    <${Switch} on=${on} busy=${busy} disabled=${Boolean(blocked)} why=${blocked} label="${route} ${name}" describedBy=${status}
      onToggle=${(/** @type {boolean} */ to) => actions.toggle(route, name, rule, to)} />
    <div class="rule-name"><h3>${name}</h3><p class="exactly">${rule?.summary ?? fault?.is}</p></div>
    <div class="rule-what">
      <p class="summary">${prose(fault?.summary)}</p>
      ${fault?.client && html`<p class="client"><b>client:</b> ${prose(fault.client)}</p>`}
      ${scope && html`<p class="scope">${scope}</p>`}
      ${rule?.without && html`<p class="note">Without ${rule.without}</p>`}
      ${rule?.near_miss && html`<p class="note">Nearly matched: ${rule.near_miss}</p>`}
      ${failure && html`<div class="error" role="alert"><${Mistakes} of=${failure} />
        <button type="button" class="quiet" aria-label="Dismiss the error of ${name}" onClick=${() => actions.forgive(`${route}/${name}`)}>Dismiss</button></div>`}
    </div>
    <p class="rule-status" id=${status}><${Standing} rule=${rule} inForce=${inForce} /></p>
    <div class="tools">
      <button type="button" class="quiet" aria-label="Adjust ${route} ${name}" disabled=${Boolean(blocked)} onClick=${onEdit}>Adjust</button>
      <${CopyButton} text=${command(route, rule ?? { name, fault: name }, api)} label="Copy the command that arms ${name}">Copy command<//>
      ${rule && html`<button type="button" class="quiet" aria-label="Remove ${route} ${name}" disabled=${Boolean(blocked)}
        onClick=${() => actions.remove(route, rule)}>Remove</button>`}
    </div>
  </article>`;
}

/** @param {{rule?: Rule, inForce: number}} props */
function Standing({ rule, inForce }) {
  if (!rule) return null;
  return html`
    <span class=${cls('hits', rule.hits > 0 && 'some')}>${plural(rule.hits, 'hit')}</span>
    ${rule.armed && html`<span>${inForce > 0 ? `in force on ${plural(inForce, 'session')}` : 'in force, no session open'}</span>`}
    ${rule.spent && html`<span>spent</span>`}
    ${rule.lease && html`<span>leased by ${rule.lease}</span>`}
    ${rule.armed && rule.expires && html`<${Countdown} to=${rule.expires} />`}
    ${rule.why && html`<span>“${rule.why}”</span>`}`;
}

/** @param {{to: string}} props */
function Countdown({ to }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [to]);
  return html`<span>off in ${duration(Math.max(0, Date.parse(to) - now))}</span>`;
}
