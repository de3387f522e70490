// @ts-check
// What a person can do, each a call of the protocol. Nothing is shown as done
// before the box has said so: meanwhile its key is busy, and a refusal stays under
// that key until the next try.

import { end, newCapture, wanted } from './chunks.js';
import { canonical, plural } from './format.js';
import { ruleKey } from './store.js';

/** @typedef {import('./store.js').Rule} Rule */

/**
 * @param {{call: (method: string, params?: any, timeout?: number) => Promise<any>}} client
 * @param {import('./store.js').Store} store
 * @param {(text: string) => void} say tells it to who cannot see the page change
 */
export function newActions(client, store, say) {
  /**
   * @param {string} key @param {string} word @param {() => Promise<any>} call
   * @returns {Promise<any>} the result, or undefined where it failed and the store has why
   */
  async function attempt(key, word, call) {
    if (store.state.busy[key]) return undefined;
    store.dispatch({ type: 'busy', key, word });
    try {
      const result = await call();
      store.dispatch({ type: 'done', key });
      return result ?? {};
    } catch (e) {
      const { code, field, message, more } = /** @type {import('./client.js').CallError} */ (e);
      store.dispatch({ type: 'failed', key, failure: { code: code ?? 'internal', field: field ?? '', message, more: more ?? [] } });
      say(`Failed: ${more?.length ? `${plural(more.length + 1, 'mistake')}, the first: ` : ''}${message}`);
      return undefined;
    }
  }

  let captures = 0;

  /** @param {number} sub */
  function endCapture(sub) {
    if (sub) client.call('unsubscribe', { sub }).catch(() => {}); // with the connection it ended by itself
  }

  function unwatch() {
    const shown = store.state.capture;
    store.dispatch({ type: 'capture', capture: null });
    if (shown && !shown.over) endCapture(shown.sub);
  }

  /** @param {string} route @param {any} result @param {string} done */
  function tookEffect(route, result, done) {
    store.dispatch({ type: 'changed', route, result });
    say(`${route} ${result.rule?.name}: ${done}, in force on ${plural(result.sessions ?? 0, 'live session')}`);
  }

  return {
    /**
     * The switch: arms or disarms a rule; a preset that is no rule yet becomes one.
     * @param {string} route @param {string} name @param {Rule|undefined} rule @param {boolean} on
     */
    async toggle(route, name, rule, on) {
      const result = await attempt(ruleKey(route, name), on ? 'arming' : 'disarming', () => (rule
        ? client.call(on ? 'rule.arm' : 'rule.disarm', { route, name: rule.name })
        : client.call('rule.set', { route, rule: { name, fault: name, armed: on } })));
      if (result) tookEffect(route, result, on ? 'armed' : 'disarmed');
    },

    /**
     * The form: makes or replaces a rule.
     * @param {string} route @param {any} rule @param {{ttl?: string, if_rev?: number, key: string}} o
     * @returns {Promise<boolean>} whether the box took it
     */
    async set(route, rule, { key, ...more }) {
      const result = await attempt(key, 'sending', () => client.call('rule.set', { route, rule, ...more }));
      if (result) tookEffect(route, result, rule.armed === false ? 'saved' : 'armed');
      return Boolean(result);
    },

    /** @param {string} route @param {Rule} rule */
    async remove(route, rule) {
      const result = await attempt(ruleKey(route, rule.name), 'removing', () => client.call('rule.delete', { route, name: rule.name }));
      if (result) say(`${route} ${rule.name}: removed`);
    },

    /** @param {string} why */
    async panic(why) {
      const result = await attempt('panic', 'stopping', () => client.call('panic', why ? { why } : {}));
      if (result) say(`${plural(result.disarmed?.length ?? 0, 'rule')} disarmed`);
    },

    /** @param {boolean} rearm */
    async release(rearm) {
      const result = await attempt('panic', 'releasing', () => client.call('release', { rearm }));
      if (result) say(rearm ? `${plural(result.rearmed?.length ?? 0, 'rule')} armed again` : 'arming is allowed again');
    },

    /** @param {string} id @param {string} act @param {string} side */
    async act(id, act, side) {
      const result = await attempt(`session ${id}`, act, () => client.call('session.act', { id, act, side }));
      if (result) say(`${id}: ${act}`);
    },

    /**
     * Shows the bytes of a session or a route, in place of what was shown before.
     * @param {import('./chunks.js').Of} of
     */
    async watch(of) {
      unwatch();
      const id = ++captures;
      const mine = () => (store.state.capture?.id === id ? store.state.capture : null);
      store.dispatch({ type: 'capture', capture: newCapture(id, of) });
      try {
        const { sub, sessions } = await client.call('capture', { ...of, ...wanted });
        const capture = mine();
        if (!capture) return endCapture(sub); // it was closed before it began
        store.dispatch({ type: 'capture', capture: { ...capture, sub } });
        say(`the bytes of ${of.session ?? of.route} are shown, of ${plural(sessions ?? 0, 'live session')}`);
      } catch (e) {
        const { message } = /** @type {Error} */ (e);
        if (mine()) store.dispatch({ type: 'capture', capture: end(mine(), message, true) });
      }
    },

    /** Ends it. */
    unwatch,

    /** @param {string} key */
    forgive(key) {
      store.dispatch({ type: 'forgive', key });
    },
  };
}

/** @typedef {ReturnType<typeof newActions>} Actions */

/** The rule of a route that a preset's switch stands for. @param {Rule[]} rules @param {string} preset */
export function ruleOf(rules, preset) {
  return rules.find((r) => canonical(r.name) === canonical(preset));
}
