/** Pyodide with the wheel, in whatever thread imports this module. */
import { loadPyodide } from "/pyodide/pyodide.mjs";

const written = [];
for (const level of ["log", "info", "warn", "error"]) {
  console[level] = (...parts) => written.push(`${level}: ${parts.join(" ")}`);
}

let pyodide;

async function start() {
  pyodide = await loadPyodide({ indexURL: "/pyodide/" });
  const extractDir = pyodide.runPython("import sysconfig; sysconfig.get_path('purelib')");
  const wheel = await (await fetch("/wheel")).arrayBuffer();
  pyodide.unpackArchive(wheel, "wheel", { extractDir });
}

/** Runs code; the answer is {value} or {error}, and what was written to the console meanwhile. */
export async function run(code) {
  let answer;
  try {
    if (!pyodide) await start();
    answer = { value: (await pyodide.runPythonAsync(code)) ?? null };
  } catch (error) {
    answer = { error: String(error?.message ?? error) };
  }
  await new Promise((resolve) => setTimeout(resolve, 0));
  return { ...answer, console: written.splice(0) };
}
