// Backends that do as they are told.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as a backend got it. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Backend extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Requests that came in, in order; those with a body once it was there. */
  readonly received: Received[];
  /** Stops accepting and breaks off what is under way. */
  stop(): Promise<void>;
}

/** What a backend does with a request whose body was read. */
export type Behaviour = (response: ServerResponse, received: Received) => void;

/** A backend that reads requests whole, notes them and behaves. */
export async function backend(behave: Behaviour): Promise<Backend> {
  const received: Received[] = [];
  const listening = await listen(async (request, response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) {
        chunks.push(chunk);
      }
    } catch {
      return;
    }
    const { method = '', url = '', headers } = request;
    const all = { method, url, headers, body: Buffer.concat(chunks) };
    received.push(all);
    behave(response, all);
  });
  return { ...listening, received };
}

/** A backend that answers `200` with its name. */
export function steady(name: string): Promise<Backend> {
  return backend(response => response.end(name));
}

/** A server on a free port. */
export async function listen(listener: RequestListener): Promise<Backend> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    if (server.listening) {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }
  };
  return { url: `http://127.0.0.1:${port}`, port, received: [], stop, [Symbol.asyncDispose]: stop };
}
