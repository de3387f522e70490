// @ts-check
// What the log shows of the events that the page keeps. Pure.

import { topic } from './format.js';

/**
 * The events of the topics not hidden. The box numbers events without a gap, so
 * that one can see how many the page never got: that stands with the next shown.
 * @param {import('./store.js').Event[]} events by seq @param {string[]} hidden topics
 * @returns {{event: import('./store.js').Event, missed: number}[]}
 */
export function rows(events, hidden) {
  const out = [];
  let missed = 0;
  for (let i = 0; i < events.length; i++) {
    if (i > 0) missed += events[i].seq - events[i - 1].seq - 1;
    if (hidden.includes(topic(events[i].type))) continue;
    out.push({ event: events[i], missed });
    missed = 0;
  }
  return out;
}
