/**
 * Builds with esbuild: by default the host script of the Python package (one minified expression);
 * with --package the npm package's scripts in dist/; with --tests the tests.
 */
import { dirname, join } from "node:path";
import { copyFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");

/** `import text from "./worker.ts?bundled"`: the script, bundled and minified, as a string. */
const bundledText = {
  name: "bundled-text",
  setup(builder) {
    builder.onResolve({ filter: /\?bundled$/ }, ({ path, resolveDir }) => ({
      path: join(resolveDir, path.replace(/\?bundled$/, "")),
      namespace: "bundled-text",
    }));
    builder.onLoad({ filter: /.*/, namespace: "bundled-text" }, async ({ path }) => {
      const options = { bundle: true, minify: true, write: false, format: "iife" };
      // A worker's script may start workers of its own.
      const plugins = [bundledText];
      const result = await build({ ...options, plugins, entryPoints: [path], target: "es2022" });
      return { contents: result.outputFiles[0].text.trim(), loader: "text" };
    });
  },
};

const common = { bundle: true, target: "es2022", plugins: [bundledText], logLevel: "warning" };

async function buildTests() {
  const tests = readdirSync(join(here, "test")).filter((name) => name.endsWith(".test.ts"));
  await build({
    ...common,
    entryPoints: tests.map((name) => join(here, "test", name)),
    format: "esm",
    platform: "node",
    sourcemap: "inline",
    outdir: join(root, "build", "runtime", "tests"),
    outExtension: { ".js": ".mjs" },
  });
}

async function buildPackage() {
  const dist = join(here, "dist");
  const source = (name) => join(here, "src", name);
  await build({
    ...common,
    entryPoints: { "wasm-torch": source("index.ts"), sync: source("sync.ts") },
    format: "esm",
    outdir: dist,
  });
  await build({
    ...common,
    entryPoints: [source("global.ts")],
    format: "iife",
    globalName: "WASMTorch",
    minify: true,
    outfile: join(dist, "wasm-torch.min.js"),
  });
  for (const variant of ["relaxed", "simd", "scalar"]) {
    copyFileSync(join(root, "build", "engine", `${variant}.wasm`), join(dist, `${variant}.wasm`));
  }
}

async function buildHost() {
  await build({
    ...common,
    entryPoints: [join(here, "src", "pyodide", "host.ts")],
    format: "iife",
    minify: true,
    globalName: "host",
    banner: { js: "(() => {" },
    footer: { js: "return host; })()" },
    outfile: join(root, "src", "wasm_torch", "_host", "engine", "host.js"),
  });
}

if (process.argv.includes("--tests")) await buildTests();
else if (process.argv.includes("--package")) await buildPackage();
else await buildHost();
