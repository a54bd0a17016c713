// What is logged, each as a line of JSON, which Workers Logs takes apart: requests,
// what happens to backends, and what goes wrong here.

import type { Backend, Event } from '../gen/interfaces/edgelb-balancer-exchange.js';
import type { Account } from './exchange.js';
import type { Incoming } from './incoming.js';
import { redacted } from './redact.js';

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
