// What the component imports.

import type { ImportObject } from '../gen/balancer.js';

/**
 * The imports of an instance: its environment. Whatever else of WASI a component was
 * linked with is there too, since it could not be instantiated otherwise; to call it is
 * a trap.
 */
export function wasi(environment: [string, string][]): ImportObject {
  const provided: Record<string, object> = {
    'wasi:cli/environment': { getEnvironment: () => environment },
  };
  return new Proxy(provided, { get: (_, name: string) => provided[name] ?? absent }) as never;
}

/** An interface of which every member is one that cannot be called. */
const absent = new Proxy({}, { get: (_, name) => uncallable(String(name)) });

function uncallable(name: string): object {
  return function () {
    throw new Error(`\`${name}\` is not provided`);
  };
}
