// @ts-check
// What the page keeps of a capture: the last of it, and how much went before. Pure.

import { bytes, count, plural } from './format.js';

/**
 * @typedef {{what: string, time: string, session?: string, side?: string, way?: string, direction?: string, offset?: number,
 *   bytes?: number, data?: string, own?: string, peer?: string, given?: number, stood?: boolean, seq?: number, rule?: string,
 *   fault?: string, at?: string, end?: string, chunks?: number}} Chunk as the protocol has it: what is 0 is left out
 * @typedef {Chunk & {n: number}} Piece a chunk with a number, from 0
 * @typedef {{route?: string, session?: string}} Of
 * @typedef {{id: number, of: Of, sub: number, over: string, failed: boolean, pieces: Piece[], next: number, size: number,
 *   left: {pieces: number, bytes: number}}} Capture sub is 0 until the box has answered; over says why it is; left is what is no longer kept
 */

/** How much is kept: who wants all of it has crimp capture. */
export const keep = { bytes: 64 << 10, pieces: 400 };

/** What the box is asked for: of a long chunk its beginning, and no more chunks a second than one can read, so that
 * its answers never queue behind them. */
export const wanted = { bytes: 2048, buffer: '128KiB', rate: 50 };

export const sessionOver = 'the session is closed';

/** @param {number} id @param {Of} of @returns {Capture} */
export function newCapture(id, of) {
  return { id, of, sub: 0, over: '', failed: false, pieces: [], next: 0, size: 0, left: { pieces: 0, bytes: 0 } };
}

/** @param {Capture} c @param {Chunk[]} chunks @returns {Capture} */
export function take(c, chunks) {
  const pieces = [...c.pieces];
  let { next, size, over } = c;
  for (const chunk of chunks) {
    if (chunk.what === 'ended') {
      over ||= 'the box has ended it';
      continue;
    }
    pieces.push({ ...chunk, n: next++ });
    size += sizeOf(chunk);
    if (chunk.what === 'closed' && c.of.session) over = sessionOver;
  }
  const left = { ...c.left };
  let gone = 0;
  for (; size > keep.bytes || pieces.length - gone > keep.pieces; gone++) {
    const piece = pieces[gone];
    size -= sizeOf(piece);
    left.pieces += piece.what === 'lost' ? piece.chunks ?? 0 : 1;
    if (piece.what === 'bytes' || piece.what === 'lost') left.bytes += piece.bytes ?? 0;
  }
  return { ...c, pieces: pieces.slice(gone), next, size, over, left };
}

/** It has ended, if it had not, and why. @param {Capture|null} c @param {string} why @param {boolean} [failed] @returns {Capture|null} */
export function end(c, why, failed = false) {
  return c === null || c.over ? c : { ...c, over: why, failed };
}

/** How many of its bytes a chunk has, which it has as base64. @param {Chunk} chunk */
function sizeOf({ data = '' }) {
  return (data.length / 4) * 3 - (data.endsWith('==') ? 2 : data.endsWith('=') ? 1 : 0);
}

/** The four ways that bytes go, in their order: read from one side, then sent to the other. */
export const ways = [
  { id: 'client in', name: 'from client', arrow: '→' },
  { id: 'server out', name: 'to server', arrow: '→' },
  { id: 'server in', name: 'from server', arrow: '←' },
  { id: 'client out', name: 'to client', arrow: '←' },
];

/** Which of them a chunk went; undefined: it is of the session as a whole. @param {Chunk} chunk */
export function wayOf(chunk) {
  return ways.find((w) => w.id === `${chunk.side} ${chunk.way}`);
}

/** @param {Chunk} k */
export function chunkText(k) {
  const at = `at ${count(k.offset)}`;
  switch (k.what) {
    case 'bytes': {
      const shown = sizeOf(k);
      return `${at}, ${plural(k.bytes ?? 0, 'byte')}${shown < (k.bytes ?? 0) ? `, the first ${count(shown)}` : ''}`;
    }
    case 'fin': case 'rst':
      return `${k.what.toUpperCase()} ${at}`;
    case 'opened': {
      const [from, to] = k.side === 'server' ? [k.own, k.peer] : [k.peer, k.own];
      return `${from} → ${to}${k.stood ? `, since before: ${count(k.offset)} B read and ${count(k.given)} written` : ''}`;
    }
    case 'fired':
      return [k.at ? `${k.rule} at ${k.at}` : k.rule, k.direction, `after ${plural(k.bytes ?? 0, 'byte')}`, k.end?.toUpperCase(), `event ${k.seq}`].filter(Boolean).join(' · ');
    case 'lost':
      return `${plural(k.chunks ?? 0, 'piece')} missing, ${bytes(k.bytes)}: more came than the page could read`;
    case 'closed':
      return 'the session is over';
    default: // a newer box may say more
      return '';
  }
}
