// The way to the backends: one attempt over the runtime's `fetch`.

import type {
  Attempt,
  Backend,
  BodySize,
  Cause,
  Delivery,
  EffectiveConfiguration,
} from '../gen/interfaces/edgelb-balancer-exchange.js';
import { apply, bodySize, lines } from './fields.js';
import type { Incoming } from './incoming.js';
import { type Timeouts, Timer, timeouts } from './timeouts.js';

/** A response that nothing was done with yet. */
export interface Arrived {
  readonly response: Response;
  readonly body: BodySize;
  /** Its field lines. */
  readonly lines: string;
}

/** Why an attempt brought no response. */
export interface Fault {
  readonly cause: Cause;
  readonly delivery: Delivery;
}

/** The client went away while an attempt was under way. */
export class ClientGone extends Error {}

/**
 * Statuses in which Cloudflare's edge, which stands between a Worker and its
 * backends, says that it got no response from them:
 * https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/
 */
const EDGE_FAULTS = new Map<number, Fault>([
  [521, { cause: 'connection-refused', delivery: 'not-sent' }],
  // Also said of a connection on which nothing is acknowledged.
  [522, { cause: 'connection-timeout', delivery: 'maybe-sent' }],
  [523, { cause: 'destination-IP-unroutable', delivery: 'not-sent' }],
  [524, { cause: 'HTTP-response-timeout', delivery: 'maybe-sent' }],
  [525, { cause: 'TLS-protocol-error', delivery: 'not-sent' }],
  [526, { cause: 'TLS-certificate-error', delivery: 'not-sent' }],
  [530, { cause: 'destination-unavailable', delivery: 'not-sent' }],
]);

/** The backends, and how long is waited for them. */
export class Upstream {
  readonly backends: readonly Backend[];
  readonly timeouts: Timeouts;

  constructor(configuration: EffectiveConfiguration) {
    this.backends = configuration.backends;
    this.timeouts = timeouts(configuration);
  }

  /** Performs an attempt. Throws `ClientGone` if nobody waits for its response any more. */
  async send(incoming: Incoming, attempt: Attempt): Promise<Arrived | Fault> {
    const { method, target, upload } = incoming;
    const backend = this.backends[attempt.backend];
    // `OPTIONS *` has no URL: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.4
    if (backend === undefined || target === '*') {
      return { cause: 'HTTP-request-denied', delivery: 'not-sent' };
    }
    const headers = new Headers(incoming.headers);
    apply(attempt.edits, headers);
    if (upload.size.tag === 'none' && incoming.has('content-length')) {
      headers.delete('content-length');
    }
    if (incoming.left) {
      throw new ClientGone();
    }
    const controller = new AbortController();
    let timedOut = false;
    const timer = new Timer(() => {
      timedOut = true;
      controller.abort();
    });
    incoming.attempt = controller;
    try {
      const response = await fetch(`${backend.scheme}://${backend.authority}${target}`, {
        method,
        headers,
        body: upload.read(Number(attempt.keep), timer, this.timeouts),
        redirect: 'manual',
        encodeResponseBody: 'manual',
        signal: controller.signal,
      });
      const arrived = taken(response);
      return edgeFault(arrived) ?? arrived;
    } catch (error) {
      if (upload.broken || incoming.left) {
        throw new ClientGone();
      }
      return timedOut
        ? { cause: 'HTTP-response-timeout', delivery: 'maybe-sent' }
        : fetchFault(error);
    } finally {
      timer.end();
      incoming.attempt = undefined;
    }
  }
}

function taken(response: Response): Arrived {
  const text = lines(response.headers);
  return { response, body: bodySize(response.body, text), lines: text };
}

/**
 * What the error of a `fetch` means. The runtime tells neither a refused
 * connection from one that was lost (`retryable`), nor a name that does not
 * resolve from a failed TLS handshake; so nothing proves that nothing was sent.
 */
function fetchFault(error: unknown): Fault {
  const lost = error instanceof Error && 'retryable' in error;
  return {
    cause: lost ? 'connection-terminated' : 'destination-unavailable',
    delivery: 'maybe-sent',
  };
}

function edgeFault({ response }: Arrived): Fault | undefined {
  const fault = EDGE_FAULTS.get(response.status);
  if (fault === undefined || response.headers.get('server') !== 'cloudflare') {
    return undefined;
  }
  response.body?.cancel().catch(() => {});
  return fault;
}
