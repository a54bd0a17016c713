// What is logged, each as a line of JSON, which Workers Logs takes apart: requests,
// what happens to backends, and what goes wrong here.

import type { Backend, Event } from '../gen/interfaces/edgelb-balancer-exchange.js';
import type { Account } from './exchange.js';
import type { Incoming } from './incoming.js';

/** Characters from which on a segment of a path is taken for a token. */
const SEGMENT = 20;

/** Whether requests and events are logged, by the variable `EDGELB_LOG`. */
export function isLogged(variable: unknown): boolean {
  return !/^\s*(?:false|no|off|0)\s*$/i.test(String(variable));
}

/** Logs a request. The duration is that to the head of the response. */
export function logRequest(
  { method, target }: Incoming,
  { status, backend, attempts }: Account,
  milliseconds: number,
): void {
  tell({
    method,
    target: redacted(target),
    status,
    backend: backend ?? null,
    attempts,
    duration_ms: milliseconds,
  });
}

/** Logs what happened to a backend. */
export function logEvent({ tag, val }: Event, backends: readonly Backend[]): void {
  const index = typeof val === 'number' ? val : val.backend;
  const until = typeof val === 'number' ? undefined : new Date(Number(val.until)).toISOString();
  const reason = typeof val === 'number' ? undefined : val.reason;
  tell({ event: tag, backend: backends[index]?.name ?? null, until, reason });
}

/** Logs a fault of the configuration or of ours: always, and as an error. */
export function warn(message: string, members: object): void {
  console.error(JSON.stringify({ message, ...members }));
}

function tell(members: object): void {
  console.log(JSON.stringify(members));
}

/**
 * A request target, fit for a log. Query values are left out: signatures, keys
 * and tokens travel there. Of the path, segments of 20 characters and more are:
 * people name things shorter, and secrets come longer (a UUID has 36). Long file
 * names keep their ending.
 */
export function redacted(target: string): string {
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const segments = path
    .split('/')
    .map(it => (it.length < SEGMENT ? it : `*${/\.[0-9a-z]{1,5}$/i.exec(it)?.[0] ?? ''}`));
  if (mark < 0) {
    return segments.join('/');
  }
  const pairs = target.slice(mark + 1).split('&').map(pair => {
    const equals = pair.indexOf('=');
    return equals >= 0 && equals < SEGMENT ? `${pair.slice(0, equals)}=*` : '*';
  });
  return `${segments.join('/')}?${pairs.join('&')}`;
}
