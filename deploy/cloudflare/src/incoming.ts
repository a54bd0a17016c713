// The client's request.

import type { RequestHead, Scheme } from '../gen/interfaces/edgelb-balancer-exchange.js';
import { pack } from './fields.js';
import { Upload } from './upload.js';

export class Incoming {
  readonly method: string;
  readonly headers: Headers;
  readonly scheme: Scheme;
  /** The Host field. */
  readonly authority: string;
  /** Path and query; `*` for a server-wide OPTIONS. */
  readonly target: string;
  readonly upload: Upload;
  #left = false;
  #attempt: AbortController | undefined;

  constructor(request: Request) {
    const { method, url, headers } = request;
    // The runtime made the URL by joining these three, and left them as they came.
    const authority = url.indexOf('://') + 3;
    const path = url.indexOf('/', authority);
    this.method = method;
    this.headers = headers;
    this.scheme = url.startsWith('https:') ? 'https' : 'http';
    this.authority = path < 0 ? url.slice(authority) : url.slice(authority, path);
    this.target = path < 0 ? (method === 'OPTIONS' ? '*' : '/') : url.slice(path);
    this.upload = new Upload(request, method, headers);
  }

  /** Whether the client went away. */
  get left(): boolean {
    return this.#left;
  }

  /** Names the attempt that ends if the client goes away. */
  set attempt(controller: AbortController | undefined) {
    this.#attempt = controller;
  }

  /** The client goes away. */
  leave(): void {
    this.#left = true;
    this.#attempt?.abort();
  }

  /** The head as the policy is shown it. */
  head(): RequestHead {
    const { method, headers } = this;
    // Cloudflare hides `Connection` from Workers, while the policy wants both.
    const hidden = headers.has('upgrade') && !headers.has('connection');
    return {
      method,
      scheme: this.scheme,
      authority: this.authority,
      target: this.target,
      // Only the platform knows, and it tells in a field.
      peer: '',
      body: this.upload.size,
      fields: pack(headers, hidden ? 'connection:upgrade\n' : ''),
    };
  }
}
