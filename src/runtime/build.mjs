/**
 * Builds the host script of the Python package, one minified expression, or the tests (--tests).
 */
import { dirname, join } from "node:path";
import { readdirSync } from "node:fs";
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
      const result = await build({ ...options, entryPoints: [path], target: "es2022" });
      return { contents: result.outputFiles[0].text.trim(), loader: "text" };
    });
  },
};

const common = { bundle: true, target: "es2022", plugins: [bundledText], logLevel: "warning" };

if (process.argv.includes("--tests")) {
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
} else {
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
