// Streams joined by the runtime: no byte passes through JavaScript.

/** Which side gave way. */
export type Failed = 'source' | 'sink';

/** Passes on all there is; answers what went wrong, if anything did. */
export async function pump(
  source: ReadableStream<Uint8Array>,
  sink: WritableStream<Uint8Array>,
): Promise<Failed | undefined> {
  try {
    // Neither side is to end the other: whether the source is well tells which one failed.
    await source.pipeTo(sink, { preventCancel: true, preventAbort: true });
    return undefined;
  } catch (reason) {
    const { closed } = source.getReader();
    const ill = closed.then(() => 'sink' as const, () => 'source' as const);
    const failed = await Promise.race([ill, Promise.resolve('sink' as const)]);
    return failed;
  }
}
