/**
 * Runs Python in Pyodide for the tests: node driver.mjs PYODIDE_FOLDER WHEEL...
 *
 * Reads lines {"code": ...} from stdin; answers each with a line {"value"} or {"error"}, and with
 * what was written to the console since the last answer. Python's own output goes to stderr.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, ...wheels] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`).href);

// Node would print the whole line of a minified file.
process.on("uncaughtException", (error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});

const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
let written = [];
for (const level of ["log", "info", "warn", "error"]) {
  console[level] = (...parts) => written.push(`${level}: ${parts.join(" ")}`);
}

const pyodide = await loadPyodide({
  indexURL: `${folder}/`,
  stdout: (line) => process.stderr.write(`${line}\n`),
  stderr: (line) => process.stderr.write(`${line}\n`),
});
const sitePackages = pyodide.runPython("import sysconfig; sysconfig.get_path('purelib')");
for (const wheel of wheels) {
  pyodide.unpackArchive(new Uint8Array(readFileSync(wheel)), "wheel", { extractDir: sitePackages });
}
answer({ value: pyodide.version });

for await (const line of createInterface({ input: process.stdin })) {
  let message;
  try {
    message = { value: (await pyodide.runPythonAsync(JSON.parse(line).code)) ?? null };
  } catch (error) {
    message = { error: String(error.message ?? error) };
  }
  // Events of workers that the code caused are part of its answer.
  await new Promise((resolve) => setTimeout(resolve, 0));
  answer({ ...message, console: written });
  written = [];
}
process.exit(0);
