// An exchange: what the policy says, done.

import type { Forward, Outcome, Reply } from '../gen/interfaces/edgelb-balancer-exchange.js';
import { warn } from './access_log.js';
import { download } from './download.js';
import { apply, pack, unpack } from './fields.js';
import type { Incoming } from './incoming.js';
import type { Isolate } from './isolate.js';
import type { Upload } from './upload.js';
import { type Arrived, ClientGone, type Fault, type Upstream } from './upstream.js';

/** How a response came about. */
export interface Account {
  readonly status: number;
  /** The name of the backend it is from; none for the balancer's own. */
  readonly backend?: string | undefined;
  readonly attempts: number;
}

/** Answers a request; `told` hears how before the response leaves. */
export async function answer(
  incoming: Incoming,
  isolate: Isolate,
  upstream: Upstream,
  told: (account: Account) => void,
): Promise<Response> {
  let attempts = 0;
  let arrived: Arrived | undefined;
  let backend: string | undefined;
  let response: Response;
  try {
    let { exchange, turn } = isolate.begin(incoming.head());
    while (turn.tag === 'send') {
      letGo(arrived);
      attempts += 1;
      backend = upstream.backends[turn.val.backend]?.name;
      let sent: Arrived | Fault;
      try {
        sent = await upstream.send(incoming, turn.val);
      } catch (error) {
        isolate.abandon(exchange);
        throw error;
      }
      arrived = 'response' in sent ? sent : undefined;
      ({ exchange, turn } = isolate.settle(exchange, outcome(sent, incoming.upload)));
    }
    if (turn.tag === 'forward' && arrived !== undefined) {
      response = forward(arrived, turn.val, incoming.method, isolate, upstream);
    } else {
      letGo(arrived);
      backend = undefined;
      response = turn.tag === 'reply' ? local(turn.val, incoming.method) : plain(502);
    }
  } catch (error) {
    letGo(arrived);
    backend = undefined;
    if (error instanceof ClientGone) {
      // Nobody reads it; the status is for the log.
      response = plain(499);
    } else {
      warn('the exchange failed', { error: String(error) });
      response = plain(502);
    }
  }
  told({ status: response.status, backend, attempts });
  return response;
}

/** What became of an attempt, as the policy is told. */
function outcome(sent: Arrived | Fault, { replayable }: Upload): Outcome {
  if (!('response' in sent)) {
    return { tag: 'failed', val: { ...sent, replayable } };
  }
  const { response, body, lines } = sent;
  const head = { status: response.status, body, fields: pack(lines) };
  return { tag: 'head', val: { head, replayable } };
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
  { response, body: size }: Arrived,
  { edits, tail }: Forward,
  method: string,
  isolate: Isolate,
  upstream: Upstream,
): Response {
  const { status, statusText, headers } = response;
  let forwarded: Response;
  if (status === 101) {
    // The runtime joins both sides; from here on no byte passes through JavaScript.
    forwarded = new Response(null, { status, headers, webSocket: response.webSocket });
  } else {
    const body =
      method === 'HEAD' || BODILESS.has(status)
        ? null
        : download(response.body, size, upstream.timeouts.idle, end => isolate.finish(tail, end));
    forwarded = new Response(body, { status, statusText, headers, encodeBody: 'manual' });
  }
  apply(edits, forwarded.headers);
  return forwarded;
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
