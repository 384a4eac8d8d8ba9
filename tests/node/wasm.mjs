// Runs Python on the WebAssembly port of MicroPython, for test_second_interpreter.py.
// usage: node wasm.mjs LOADER JOBS   LOADER: micropython.mjs of the npm package; JOBS: a JSON file with
//   {"files": {"/lib/a.py": "its text", ...}, "scripts": ["print(1)", ...]}
// Prints one line of JSON for each script: {"out": [lines], "error": text or null}. Each script has a VM of its own.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [loader, jobs] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(loader).href);
const { files, scripts } = JSON.parse(readFileSync(jobs, "utf8"));

for (const script of scripts) {
  const out = [];
  const vm = await loadMicroPython({ stdout: (line) => out.push(line), linebuffer: true });
  for (const [path, text] of Object.entries(files)) {
    const folders = path.split("/").slice(1, -1);
    folders.reduce((at, name) => {
      const folder = `${at}/${name}`;
      if (!vm.FS.analyzePath(folder).exists) vm.FS.mkdir(folder);
      return folder;
    }, "");
    vm.FS.writeFile(path, text);
  }
  let error = null;
  try {
    vm.runPython(script);
  } catch (failure) {
    error = String(failure.message ?? failure);
  }
  console.log(JSON.stringify({ out, error }));
}
