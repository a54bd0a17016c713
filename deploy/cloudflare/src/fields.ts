// Fields between `Headers` and the policy's packed lines.
//
// The runtime shows values as text decoded from UTF-8, names in lower case and
// sorted, and repeated fields joined into one, `Set-Cookie` apart.

import type { BodySize } from '../gen/interfaces/edgelb-balancer-exchange.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The field lines of a message, and `more` of them. */
export function pack(headers: Headers, more = ''): Uint8Array {
  let lines = '';
  headers.forEach((value, name) => {
    lines += `${name}:${value}\n`;
  });
  return encoder.encode(lines + more);
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
  for (const edit of decoder.decode(edits).split('\n')) {
    const colon = edit.indexOf(':');
    switch (edit[0]) {
      case '-':
        headers.delete(edit.slice(1));
        break;
      case '=':
        headers.set(edit.slice(1, colon), edit.slice(colon + 1));
        break;
      case '+':
        headers.append(edit.slice(1, colon), edit.slice(colon + 1));
        break;
    }
  }
}

/** What is known of a message's body before it is read. */
export function bodySize(body: ReadableStream | null, headers: Headers): BodySize {
  if (body === null) {
    return { tag: 'none' };
  }
  const length = contentLength(headers);
  if (length === undefined) {
    return { tag: 'unknown' };
  }
  return length === 0 ? { tag: 'none' } : { tag: 'known', val: BigInt(length) };
}

/** The length that `Content-Length` tells. */
function contentLength(headers: Headers): number | undefined {
  const value = headers.get('content-length');
  return value !== null && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
