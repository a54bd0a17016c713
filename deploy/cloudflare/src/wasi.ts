// The WASI 0.2 that Rust's standard library links. The policy asks for its
// environment; the rest is there for a panic's message and to be linked.

/** The imports of an instance. Anything not named here is never called: to call it is a trap. */
export function wasi(environment: [string, string][]) {
  return {
    'wasi:cli/environment': { getEnvironment: () => environment },
    'wasi:cli/exit': { exit },
    'wasi:cli/stderr': { getStderr: () => new OutputStream() },
    'wasi:cli/stdin': { getStdin: () => new InputStream() },
    'wasi:cli/stdout': { getStdout: () => new OutputStream() },
    'wasi:cli/terminal-input': { TerminalInput: Handle },
    'wasi:cli/terminal-output': { TerminalOutput: Handle },
    'wasi:cli/terminal-stderr': { getTerminalStderr: () => undefined },
    'wasi:cli/terminal-stdin': { getTerminalStdin: () => undefined },
    'wasi:cli/terminal-stdout': { getTerminalStdout: () => undefined },
    'wasi:io/error': { Error: Handle },
    'wasi:io/poll': { Pollable: Handle },
    'wasi:io/streams': { InputStream, OutputStream },
  };
}

function exit(): never {
  throw new Error('the component exited');
}

/** A resource that can be held and nothing else. */
class Handle {}

class InputStream {}

/** Lines for the log. */
class OutputStream {
  #decoder = new TextDecoder();
  #line = '';

  checkWrite(): bigint {
    return 65_536n;
  }

  write(bytes: Uint8Array): void {
    const lines = (this.#line + this.#decoder.decode(bytes, { stream: true })).split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) {
      console.error(line);
    }
  }

  blockingWriteAndFlush(bytes: Uint8Array): void {
    this.write(bytes);
  }

  blockingFlush(): void {}

  subscribe(): Handle {
    return new Handle();
  }
}
