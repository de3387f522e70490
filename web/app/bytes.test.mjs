import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, hexText, plainText } from './bytes.js';

const of = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));

test('hex has the place in the stream, the bytes, and what of them is ASCII', () => {
  const data = of('GET / HTTP/1.1\r\n\xff~ \x7f');
  assert.equal(hexText(data, 0x1f0, 16), [
    '000001f0  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  GET / HTTP/1.1..',
    '00000200  ff 7e 20 7f                                       .~ .',
  ].join('\n'));
  assert.equal(hexText(data.subarray(0, 9), 0, 8), [
    '0000  47 45 54 20 2f 20 48 54  GET / HT',
    '0008  54                       T',
  ].join('\n'));
  assert.equal(hexText(of(''), 0, 16), '');
  assert.match(hexText(of('a'), 2 ** 40, 8), /^10000000000  61 /);
});

test('text tells every byte from every other', () => {
  assert.equal(plainText(of('HTTP/1.1 200 OK\r\n\r\n{"a\\b":\t1}\n')), 'HTTP/1.1 200 OK\\r\n\\r\n{"a\\\\b":\\t1}\\n'.replaceAll('\\r\n', '\\r\\n\n'));
  assert.equal(plainText(of('\x00\x1b[31m\x80\xff')), '\\x00\\x1b[31m\\x80\\xff');
});

test('base64 goes back to the bytes it was made of', () => {
  assert.deepEqual([...decode('AP+ACg==')], [0, 255, 128, 10]);
  assert.deepEqual([...decode('')], []);
});
