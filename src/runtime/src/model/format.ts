/**
 * The model file, read as it arrives (docs/model-format.md): its header, the prefix with code and
 * manifest, and the weights, which are handed on in pieces and never kept here.
 */
import { Damaged, NewerFormat, NotOurs, NotWasm, Truncated } from "./errors";
import { checkedManifest, type Manifest } from "./manifest";

/** The newest format that this version reads. */
export const FORMAT = 2;

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const HEADER_NAME = "wasm_torch.header";
const MANIFEST_NAME = "wasm_torch.manifest";
const WEIGHTS_NAME = "wasm_torch.weights";
const HEADER_BYTES = 24;
const MARK = "WTM1";
/** Code and manifest of the largest models take a few megabytes: more is no model. */
const MOST_PREFIX_BYTES = 256 * 1024 * 1024;

const text = new TextEncoder();

function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  do {
    const low = value % 128;
    value = Math.floor(value / 128);
    bytes.push(value > 0 ? low | 0x80 : low);
  } while (value > 0);
  return bytes;
}

/** A custom section's beginning: id, size, name. */
function customHead(name: string, payload: number): Uint8Array {
  const encoded = text.encode(name);
  const named = [...unsignedLeb(encoded.length), ...encoded];
  return Uint8Array.from([0, ...unsignedLeb(named.length + payload), ...named]);
}

const HEAD = Uint8Array.from([...MAGIC, ...customHead(HEADER_NAME, HEADER_BYTES)]);
/** Where the header section ends, and what its checksum covers begins. */
const HEADER_END = HEAD.length + HEADER_BYTES;

interface Header {
  prefixBytes: number;
  prefixChecksum: number;
  weightsBytes: number;
}

function startsWith(bytes: Uint8Array, beginning: ArrayLike<number>): boolean {
  const length = Math.min(bytes.length, beginning.length);
  for (let i = 0; i < length; i++) if (bytes[i] !== beginning[i]) return false;
  return true;
}

/** Reads the header; undefined where more bytes are needed. */
function readHeader(bytes: Uint8Array): Header | undefined {
  if (!startsWith(bytes, MAGIC.slice(0, 4))) {
    throw new NotWasm("this is not a WebAssembly module: it does not begin with \\0asm");
  }
  if (!startsWith(bytes, HEAD)) {
    throw new NotOurs(
      "this is a WebAssembly module, but not a model of wasm-torch: it has no header section",
    );
  }
  if (bytes.length < HEADER_END) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + HEAD.length, HEADER_BYTES);
  const mark = String.fromCharCode(...bytes.subarray(HEAD.length, HEAD.length + 4));
  if (mark !== MARK) {
    throw new NotOurs("this is a WebAssembly module, but not a model of wasm-torch");
  }
  const format = view.getUint32(4, true);
  if (format > FORMAT) {
    throw new NewerFormat(
      `the model file has format ${format}, and this version of wasm-torch reads formats up to ` +
        `${FORMAT}: update wasm-torch`,
    );
  }
  const header = {
    prefixBytes: view.getUint32(8, true),
    prefixChecksum: view.getUint32(12, true),
    weightsBytes: Number(view.getBigUint64(16, true)),
  };
  if (header.prefixBytes < HEADER_END || header.prefixBytes > MOST_PREFIX_BYTES) {
    throw new Damaged("the header of the model file is damaged: download it again");
  }
  return header;
}

/** CRC-32 as in zlib, bytewise: for the prefix, which is small. */
let crcTable: Uint32Array | undefined;

function makeCrcTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
}

export function crc32(bytes: Uint8Array): number {
  crcTable ??= makeCrcTable();
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 255]!;
  return ~crc >>> 0;
}

/** The payload of the manifest's section. */
function manifestSection(prefix: Uint8Array): Uint8Array | undefined {
  let at = MAGIC.length;
  const leb = () => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = prefix[at++] ?? 0;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < prefix.length) {
    const id = prefix[at++];
    const size = leb();
    const end = at + size;
    if (id === 0) {
      const length = leb();
      const name = new TextDecoder().decode(prefix.subarray(at, at + length));
      if (name === MANIFEST_NAME) return prefix.subarray(at + length, end);
    }
    at = end;
  }
  return undefined;
}

/** The checked prefix: a module of its own, without the weights. */
export interface Prefix {
  bytes: Uint8Array<ArrayBuffer>;
  manifest: Manifest;
  /** Bytes of the weights that follow, and of the whole file. */
  weightsBytes: number;
  fileBytes: number;
}

function openPrefix(bytes: Uint8Array<ArrayBuffer>, header: Header): Prefix {
  if (crc32(bytes.subarray(HEADER_END)) !== header.prefixChecksum) {
    throw new Damaged("the code or the manifest of the model file is damaged: download it again");
  }
  const section = manifestSection(bytes);
  if (section === undefined) {
    throw new Damaged("the model file has no manifest: export the model again");
  }
  const manifest = checkedManifest(new TextDecoder().decode(section), header.weightsBytes);
  const head = customHead(WEIGHTS_NAME, header.weightsBytes).length;
  const fileBytes = header.prefixBytes + head + header.weightsBytes;
  return { bytes, manifest, weightsBytes: header.weightsBytes, fileBytes };
}

/** Who takes what the reader finds. */
export interface ModelSink {
  /** The prefix is complete and checked; the weights follow. */
  prefix(prefix: Prefix): void;
  /** The next bytes of the weights, which belong at `offset` of the payload. */
  weights(bytes: Uint8Array, offset: number): void;
}

/**
 * Takes a file apart in pieces of any size. What is wrong with the file is thrown by the piece that
 * shows it, or by `finish`.
 */
export class ModelReader {
  #pending = new Uint8Array(0);
  #header: Header | undefined;
  #prefix: Prefix | undefined;
  #weightsHead: Uint8Array | undefined;
  #received = 0;
  #weightsAt = 0;

  constructor(private readonly sink: ModelSink) {}

  /** Bytes so far. */
  get received(): number {
    return this.#received;
  }

  /** Bytes of the whole file; undefined until its prefix has been read. */
  get total(): number | undefined {
    return this.#prefix?.fileBytes;
  }

  push(bytes: Uint8Array): void {
    this.#received += bytes.length;
    if (this.#weightsHead !== undefined && this.#pending.length === 0) {
      this.#pushWeights(bytes);
      return;
    }
    this.#pending = joined(this.#pending, bytes);
    this.#header ??= readHeader(this.#pending);
    if (this.#header === undefined) return;
    const head = customHead(WEIGHTS_NAME, this.#header.weightsBytes);
    const payload = this.#header.prefixBytes + head.length;
    if (this.#pending.length < payload) return;
    const rest = this.#pending;
    this.#pending = new Uint8Array(0);
    // A copy: the prefix outlives the piece that it came with.
    this.#prefix = openPrefix(rest.slice(0, this.#header.prefixBytes), this.#header);
    if (!startsWith(rest.subarray(this.#header.prefixBytes, payload), head)) {
      throw unfitting();
    }
    this.#weightsHead = head;
    this.sink.prefix(this.#prefix);
    this.#pushWeights(rest.subarray(payload));
  }

  /** The file has ended. Throws Truncated where it should not have. */
  finish(): Prefix {
    if (this.#prefix === undefined) {
      const where = this.#header === undefined ? "its header" : "its code and manifest";
      if (this.#header === undefined && this.#received < 4) {
        throw new NotWasm(`these ${this.#received} bytes are not a WebAssembly module`);
      }
      throw new Truncated(
        `the model file ends after ${this.#received} bytes, within ${where}: download it again`,
      );
    }
    if (this.#received < this.#prefix.fileBytes) {
      throw new Truncated(
        `the model file ends after ${this.#received} bytes, but has ${this.#prefix.fileBytes}: ` +
          "download it again",
      );
    }
    return this.#prefix;
  }

  #pushWeights(bytes: Uint8Array): void {
    if (this.#weightsAt + bytes.length > this.#prefix!.weightsBytes) throw unfitting();
    if (bytes.length > 0) this.sink.weights(bytes, this.#weightsAt);
    this.#weightsAt += bytes.length;
  }
}

function unfitting(): Damaged {
  return new Damaged("the sections of the model file do not fit together: download it again");
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
