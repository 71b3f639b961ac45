/** Where a model file comes from, as pieces of bytes. */
import { nodeBuiltin } from "../core/environment";
import { FetchError } from "./errors";

/** An address, or what holds the bytes. */
export type Source = string | URL | Request | Response | Blob | ArrayBuffer | ArrayBufferView;

interface NodeFiles {
  openAsBlob(path: string | URL): Promise<Blob>;
}

/** Bytes that are held go on in pieces, so that other calls and an abort come between. */
const PIECE_BYTES = 4 * 1024 * 1024;

/** Bytes of the buffer that a stream is read into. */
const READ_BYTES = 256 * 1024;

function isBytes(source: Source): source is ArrayBuffer | ArrayBufferView {
  return ArrayBuffer.isView(source) || source instanceof ArrayBuffer;
}

/**
 * The pieces of a file. Each lasts until the next is asked for, since one buffer serves for all.
 *
 * @throws FetchError where the file cannot be had, AbortError once aborted.
 */
export async function* pieces(source: Source, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted();
  if (isBytes(source)) {
    const bytes = ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      signal?.throwIfAborted();
      yield bytes.subarray(at, at + PIECE_BYTES);
    }
    return;
  }
  const reader = new StreamReader(await open(source, signal));
  try {
    for (;;) {
      signal?.throwIfAborted();
      const piece = await reader.read();
      if (piece === undefined) return;
      yield piece;
    }
  } finally {
    await reader.cancel();
  }
}

/** All bytes of a file. Throws FetchError where it cannot be had. */
export async function allBytes(source: string): Promise<ArrayBuffer> {
  return new Response(await open(source)).arrayBuffer();
}

/**
 * Reads a stream into one buffer, again and again, where the platform can do so: pages of memory
 * that are new for each piece cost more than to copy it.
 */
class StreamReader {
  readonly #reader: ReadableStreamBYOBReader | ReadableStreamDefaultReader<Uint8Array>;
  #buffer = new ArrayBuffer(READ_BYTES);

  constructor(stream: ReadableStream<Uint8Array>) {
    try {
      this.#reader = stream.getReader({ mode: "byob" });
    } catch {
      this.#reader = stream.getReader(); // no stream of bytes
    }
  }

  /** The next piece, which lasts until the next call; undefined at the end. */
  async read(): Promise<Uint8Array | undefined> {
    if (this.#reader instanceof ReadableStreamDefaultReader) {
      return (await this.#reader.read()).value;
    }
    const { done, value } = await this.#reader.read(new Uint8Array(this.#buffer));
    if (done) return undefined;
    this.#buffer = value.buffer;
    return value;
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel().catch(() => undefined);
  }
}

async function open(
  source: Exclude<Source, ArrayBuffer | ArrayBufferView>,
  signal?: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  if (source instanceof Blob) return source.stream();
  if (source instanceof Response) return body(source, source.url);
  const address = source instanceof Request ? source.url : String(source);
  const files = nodeBuiltin<NodeFiles>("fs");
  if (files !== undefined && !/^(https?|data|blob):/.test(address)) {
    const path = address.startsWith("file:") ? new URL(address) : address;
    try {
      return (await files.openAsBlob(path)).stream();
    } catch (error) {
      throw new FetchError(`${address} could not be read: ${error}`);
    }
  }
  let response: Response;
  try {
    response = await fetch(source, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new FetchError(
      `${address} could not be fetched (${error}). Is the server reachable, and does it allow ` +
        "this page to read it (CORS)?",
    );
  }
  return body(response, address);
}

function body(response: Response, address: string): ReadableStream<Uint8Array> {
  if (!response.ok) {
    throw new FetchError(
      `${address} could not be fetched: the server answered ${response.status} ` +
        response.statusText,
    );
  }
  if (response.body === null) throw new FetchError(`${address} has no content`);
  return response.body;
}
