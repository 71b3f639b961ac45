/** The global that wasm-torch.min.js makes. */
declare const WASMTorch: typeof import("../../src/runtime/src/global");
