// @ts-check
import { cls, html } from './html.js';

/**
 * On or off as the box has confirmed it; while a call is under way it says what is
 * being done and stays where it was. Three signals: place, word, colour.
 * @param {{on: boolean, busy?: string, disabled: boolean, why?: string, label: string, describedBy?: string,
 *   onToggle: (on: boolean) => void}} props
 */
export function Switch({ on, busy, disabled, why, label, describedBy, onToggle }) {
  const click = () => {
    if (!busy) onToggle(!on);
  };
  return html`<button type="button" role="switch" class=${cls('switch', on && 'on', busy && 'busy')} aria-checked=${on}
    aria-busy=${Boolean(busy)} aria-label=${label} aria-describedby=${describedBy} disabled=${disabled} title=${disabled ? why : undefined}
    onClick=${click}>
    <span class="track" aria-hidden="true"><span class="thumb"></span></span>
    <span class="word" aria-hidden="true">${busy ? `${busy}…` : on ? 'on' : 'off'}</span>
  </button>`;
}
