// Fields between `Headers` and the policy's packed lines.
//
// The runtime shows values as text decoded from UTF-8, names in lower case and
// sorted, and repeated fields joined into one, `Set-Cookie` apart.

import type { BodySize } from '../gen/interfaces/edgelb-balancer-exchange.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bytes that fit into the arguments of a call. */
const SHORT = 4_096;

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

/** Field lines as the policy takes them. */
export function pack(lines: string): Uint8Array {
  return encoder.encode(lines);
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
  for (const edit of decode(edits).split('\n')) {
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

/** Decodes UTF-8. What is short and ASCII, as edits are, costs less without the runtime's decoder. */
function decode(bytes: Uint8Array): string {
  if (bytes.length <= SHORT) {
    const text = String.fromCharCode.apply(null, bytes as unknown as number[]);
    if (!/[^\0-\x7f]/.test(text)) {
      return text;
    }
  }
  return decoder.decode(bytes);
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
