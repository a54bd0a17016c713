// Fields between `Headers` and the policy's packed lines.
//
// The runtime shows values as text decoded from UTF-8, names in lower case and
// sorted, and repeated fields joined into one, `Set-Cookie` apart.

import type { BodySize } from '../gen/interfaces/edgelb-balancer-exchange.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Where heads are encoded: a buffer for each would cost more than the encoding. */
const scratch = new Uint8Array(65_536);

/** The field lines of a message, as text: to look into it costs less than to ask `Headers`. */
export function lines(headers: Headers): string {
  let text = '';
  headers.forEach((value, name) => {
    text += `${name}:${value}\n`;
  });
  return text;
}

/** Whether there is a field of that name, in lower case. */
export function has(lines: string, name: string): boolean {
  return lines.startsWith(`${name}:`) || lines.includes(`\n${name}:`);
}

/** Field lines as the policy takes them; they stand until the next are packed. */
export function pack(lines: string): Uint8Array {
  // A unit of UTF-16 becomes three bytes at most.
  return lines.length * 3 <= scratch.length
    ? scratch.subarray(0, encoder.encodeInto(lines, scratch).written)
    : encoder.encode(lines);
}

/** The fields that lines describe. */
export function unpack(lines: Uint8Array): Headers {
  const headers = new Headers();
  for (const line of decoder.decode(lines).split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) {
      headers.append(line.slice(0, colon), line.slice(colon + 1));
    }
  }
  return headers;
}

/** Carries out `field-edits`. */
export function apply(edits: Uint8Array, headers: Headers): void {
  const lines = decoder.decode(edits);
  for (let start = 0, end: number; (end = lines.indexOf('\n', start)) >= 0; start = end + 1) {
    const colon = lines.indexOf(':', start);
    switch (lines[start]) {
      case '-':
        headers.delete(lines.slice(start + 1, end));
        break;
      case '=':
        headers.set(lines.slice(start + 1, colon), lines.slice(colon + 1, end));
        break;
      case '+':
        headers.append(lines.slice(start + 1, colon), lines.slice(colon + 1, end));
        break;
    }
  }
}

/** What is known of a message's body before it is read. */
export function bodySize(body: ReadableStream | null, lines: string): BodySize {
  if (body === null) {
    return { tag: 'none' };
  }
  const length = /^content-length:(\d{1,15})$/m.exec(lines)?.[1];
  if (length === undefined) {
    return { tag: 'unknown' };
  }
  const val = BigInt(length);
  return val === 0n ? { tag: 'none' } : { tag: 'known', val };
}
