// An exchange: what the policy says, done.

import type {
  Attempt,
  Forward,
  Outcome,
  Reply,
  ResponseHead,
} from '../gen/interfaces/edgelb-balancer-exchange.js';
import { warn } from './access_log.js';
import { forwarded } from './download.js';
import { apply, bodySize, pack, unpack } from './fields.js';
import type { Incoming } from './incoming.js';
import type { Isolate } from './isolate.js';
import { ClientGone, type Upstream } from './upstream.js';

/** A response, and how it came about. */
export interface Answer {
  readonly response: Response;
  /** The name of the backend it is from; none for the balancer's own. */
  readonly backend?: string | undefined;
  readonly attempts: number;
}

/** A backend's response that nothing was done with yet. */
interface Arrived {
  readonly response: Response;
  readonly head: ResponseHead;
}

/** Answers a request. */
export async function answer(
  incoming: Incoming,
  isolate: Isolate,
  upstream: Upstream,
): Promise<Answer> {
  let attempts = 0;
  let arrived: Arrived | undefined;
  let backend: string | undefined;
  try {
    let { exchange, turn } = isolate.begin(incoming.head());
    while (turn.tag === 'send') {
      letGo(arrived);
      arrived = undefined;
      attempts += 1;
      backend = upstream.backends[turn.val.backend]?.name;
      let outcome: Outcome;
      try {
        [outcome, arrived] = await attempted(incoming, upstream, turn.val);
      } catch (error) {
        isolate.abandon(exchange);
        throw error;
      }
      ({ exchange, turn } = isolate.settle(exchange, outcome));
    }
    if (turn.tag === 'forward' && arrived !== undefined) {
      const response = forward(arrived, turn.val, incoming.method, isolate, upstream);
      return { response, backend, attempts };
    }
    letGo(arrived);
    return { response: turn.tag === 'reply' ? local(turn.val, incoming.method) : plain(502), attempts };
  } catch (error) {
    if (error instanceof ClientGone) {
      // Nobody reads it; the status is for the log.
      return { response: plain(499), attempts };
    }
    warn('the exchange failed', { error: String(error) });
    return { response: plain(502), attempts };
  }
}

/** Performs an attempt, and says what became of it. */
async function attempted(
  incoming: Incoming,
  upstream: Upstream,
  attempt: Attempt,
): Promise<[Outcome, Arrived?]> {
  const sent = await upstream.send(incoming, attempt);
  const { replayable } = incoming.upload;
  if (!(sent instanceof Response)) {
    return [{ tag: 'failed', val: { ...sent, replayable } }];
  }
  const { status, body, headers } = sent;
  const head = { status, body: bodySize(body, headers), fields: pack(headers) };
  return [{ tag: 'head', val: { head, replayable } }, { response: sent, head }];
}

/** Gives up a response that is not passed on. */
function letGo(arrived: Arrived | undefined): void {
  arrived?.response.body?.cancel().catch(() => {});
}

/**
 * Statuses whose responses have no content, whatever their fields say:
 * https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1
 */
const BODILESS = new Set([204, 205, 304]);

/** The backend's response as the client gets it. */
function forward(
  { response, head }: Arrived,
  { edits, tail }: Forward,
  method: string,
  isolate: Isolate,
  upstream: Upstream,
): Response {
  const { status } = head;
  const headers = new Headers(response.headers);
  apply(edits, headers);
  if (status === 101) {
    // The runtime joins both sides; from here on no byte passes through JavaScript.
    return new Response(null, { status, headers, webSocket: response.webSocket });
  }
  const body =
    method === 'HEAD' || BODILESS.has(status)
      ? null
      : forwarded(response.body, head.body, upstream.timeouts.idle, end => isolate.finish(tail, end));
  return new Response(body, { status, statusText: response.statusText, headers, encodeBody: 'manual' });
}

/** The balancer's own response. */
function local({ status, fields, body }: Reply, method: string): Response {
  const headers = unpack(fields);
  headers.set('content-length', String(body.length));
  return new Response(method === 'HEAD' ? null : body, { status, headers });
}

/** What is said when there is no policy to say it. */
function plain(status: number): Response {
  return new Response(`${status}\n`, {
    status,
    headers: { 'content-type': 'text/plain', 'cache-control': 'no-store' },
  });
}
