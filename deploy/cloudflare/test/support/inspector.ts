// What is in the heap of an isolate, over the protocol of V8's inspector.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { WebSocket } from 'ws';

import { get } from './client.ts';
import type { Worker } from './workerd.ts';

/**
 * Bytes that are alive after a garbage collection, in and around the heap: the first that
 * are `enough`, or the fewest until 100 collections let go of no more. One alone says
 * little: in the midst of a request the collector keeps some 300 KiB that it lets go
 * another time.
 */
export async function alive(worker: Worker, enough = 0): Promise<number> {
  const targets = await (await fetch(`http://127.0.0.1:${worker.inspectorPort}/json`)).json();
  const socket = new WebSocket((targets as [{ webSocketDebuggerUrl: string }])[0].webSocketDebuggerUrl);
  await once(socket, 'open');
  const answers = new Map<number, (result: Record<string, number>) => void>();
  socket.on('message', text => {
    const { id, result } = JSON.parse(String(text));
    answers.get(id)?.(result);
  });
  const call = (method: string) =>
    new Promise<Record<string, number>>(resolve => {
      const id = answers.size + 1;
      answers.set(id, resolve);
      socket.send(JSON.stringify({ id, method }));
    });
  await call('HeapProfiler.enable');
  let fewest = Infinity;
  for (let vain = 0; vain < 100 && fewest > enough; vain += 1) {
    // An isolate that has nothing to do may leave this unanswered.
    const collected = call('HeapProfiler.collectGarbage');
    await get(worker, '/');
    await Promise.race([collected, sleep(100)]);
    const usage = await call('Runtime.getHeapUsage');
    const { usedSize = 0, embedderHeapUsedSize = 0, backingStorageSize = 0 } = usage;
    const alive = usedSize + embedderHeapUsedSize + backingStorageSize;
    if (alive < fewest) {
      fewest = alive;
      vain = 0;
    }
  }
  socket.terminate();
  return fewest;
}
