// The client's request.

import type { RequestHead, Scheme } from '../gen/interfaces/edgelb-balancer-exchange.js';
import { has, lines, pack } from './fields.js';
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
  readonly #lines: string;
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
    this.#lines = lines(headers);
    this.upload = new Upload(request, method, this.#lines);
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

  /** Whether the client sent a field of that name, in lower case. */
  has(name: string): boolean {
    return has(this.#lines, name);
  }

  /** The head as the policy is shown it. */
  head(): RequestHead {
    const { method, authority, target, upload } = this;
    const pseudo = `:method:${method}\n:authority:${authority}\n:path:${target}\n`;
    // Cloudflare hides `Connection` from Workers, while the policy wants both.
    const hidden = this.has('upgrade') && !this.has('connection');
    return {
      // No peer: only the platform knows it, and tells in a field.
      scheme: this.scheme,
      body: upload.size,
      fields: pack(`${pseudo}${this.#lines}${hidden ? 'connection:upgrade\n' : ''}`),
    };
  }
}
