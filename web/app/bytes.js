// @ts-check
// Bytes as something to read. Pure.

/** @param {string} base64 @returns {Uint8Array} */
export function decode(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

/** Lines of so many bytes, each with its place in the stream: in hex, and what of it is ASCII.
 * @param {Uint8Array} data @param {number} at the place of the first @param {number} wide 8 or 16 */
export function hexText(data, at, wide) {
  const digits = wide > 8 ? 8 : 4; // on a narrow page as few as will do
  const lines = [];
  for (let i = 0; i < data.length; i += wide) {
    const line = [...data.subarray(i, i + wide)];
    const hex = line.map((b, n) => (n && n % 8 === 0 ? ' ' : '') + b.toString(16).padStart(2, '0')).join(' ');
    const text = line.map((b) => (isPlain(b) ? String.fromCharCode(b) : '.')).join('');
    lines.push(`${(at + i).toString(16).padStart(digits, '0')}  ${hex.padEnd(wide * 3 - 1 + (wide > 8 ? 1 : 0))}  ${text}`);
  }
  return lines.join('\n');
}

/** @type {Record<number, string>} */
const escapes = { 9: '\\t', 10: '\\n\n', 13: '\\r', 92: '\\\\' };

/** ASCII as it is, all else escaped, and a new line after each line feed: nothing is left to guess. @param {Uint8Array} data */
export function plainText(data) {
  return Array.from(data, (b) => escapes[b] ?? (isPlain(b) ? String.fromCharCode(b) : `\\x${b.toString(16).padStart(2, '0')}`)).join('').replace(/\n$/, '');
}

/** @param {number} b */
function isPlain(b) {
  return b >= 0x20 && b < 0x7f;
}
