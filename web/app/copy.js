// @ts-check
import { useState } from 'preact/hooks';
import { html } from './html.js';

/**
 * Puts text on the clipboard and says that it did.
 * @param {{text: string, label: string, children: any}} props label is what it is, to who only hears it
 */
export function CopyButton({ text, label, children }) {
  const [done, setDone] = useState('');
  const copy = async () => {
    setDone((await toClipboard(text)) ? 'Copied' : 'Not allowed here');
    setTimeout(() => setDone(''), 1500);
  };
  return html`<button type="button" class="quiet" aria-label=${done || label} title=${text} onClick=${copy}>${done || children}</button>`;
}

/** @param {string} text */
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return oldWay(text); // no clipboard for a page that came over plain HTTP from another machine
  }
}

/** @param {string} text */
function oldWay(text) {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'hidden';
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}
