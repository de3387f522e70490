// @ts-check
// Templates without a build step: html`<p>…</p>` makes Preact nodes.
import { Component, h } from 'preact';
import htm from 'htm';

export const html = htm.bind(h);

/**
 * A component that is drawn again only when one of its props is another value.
 * The store replaces what changed and keeps what did not, so this is what lets a
 * busy event log leave the rest of the page alone.
 * @param {(props: any) => any} component
 */
export function memo(component) {
  return class extends Component {
    /** @param {any} next */
    shouldComponentUpdate(next) {
      return !same(/** @type {any} */ (this.props), next);
    }

    /** @param {any} props */
    render(props) {
      return h(component, props);
    }
  };
}

/**
 * @param {Record<string, any>} a
 * @param {Record<string, any>} b
 */
function same(a, b) {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => a[k] === b[k]);
}

/** A sentence whose `words` in backquotes are code. @param {string|undefined} text */
export function prose(text) {
  return (text ?? '').split('`').map((part, i) => (i % 2 ? h('code', null, part) : part));
}

/** Class names, without the falsy ones. @param {...(string|false|null|undefined)} names */
export function cls(...names) {
  return names.filter(Boolean).join(' ');
}
