/** What the page and the runtime's worker say to each other. */
import type { Variant } from "../core/probe";
import type { ImagePlan } from "../image/options";
import type { Picture } from "../image/read";
import type { TensorData } from "../model/dtypes";
import type { ErrorMessage } from "../model/errors";
import type { Manifest } from "../model/manifest";
import type { EngineInfo, MemoryStats } from "../model/runtime";
import type { Sizes } from "../model/sizes";
import type { WorkerOrder } from "./workers";

/** Requests by kind, and what each is answered with. */
export interface Calls {
  /** Starts the engine; the first request. */
  start: [{ engine: string | WebAssembly.Module; variant: Variant; threads?: number }, EngineInfo];
  /** `progress`: whether to tell of it. */
  load: [{ source: string | Blob; progress: boolean }, { model: number; manifest: Manifest }];
  /** Aborts a load. */
  abort: [{ request: number }, void];
  call: [{ model: number; method: string; inputs: TensorData[]; sizes: Sizes }, TensorData[]];
  /** The elements of one tensor. */
  image: [{ picture: Picture; plan: ImagePlan }, TensorData[]];
  resetState: [{ model: number }, void];
  dispose: [{ model: number }, void];
  stats: [undefined, MemoryStats];
  resetPeak: [undefined, void];
  trim: [undefined, boolean];
}

export type Kind = keyof Calls;

export interface RequestMessage<K extends Kind = Kind> {
  id: number;
  kind: K;
  content: Calls[K][0];
}

export type ReplyMessage =
  | { id: number; result: unknown }
  | { order: WorkerOrder }
  | { id: number; error: ErrorMessage }
  | { id: number; progress: { loaded: number; total: number | undefined } };
