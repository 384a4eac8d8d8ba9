// Runs Python code in the WebAssembly MicroPython, with folders of this machine to read: a second interpreter, of 32 bits.
// Usage: node second.mjs PACKAGE_FOLDER CODE FOLDER=PLACE... ; prints what the code prints, exits 1 when it raises.
// Promises: each FOLDER is found at PLACE, files and folders below it, and nothing else of this machine is.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const HEAP_BYTES = 2 ** 21; // a hint: this build does not enforce it

const [packageFolder, code, ...mounts] = process.argv.slice(2);
const { loadMicroPython } = await import(pathToFileURL(path.join(packageFolder, "micropython.mjs")));
const micropython = await loadMicroPython({
  heapsize: HEAP_BYTES,
  linebuffer: true,
  stdout: (line) => process.stdout.write(line + "\n"),
});

function copy(from, to) {
  if (fs.statSync(from).isDirectory()) {
    micropython.FS.mkdirTree(to);
    for (const name of fs.readdirSync(from)) {
      if (name !== "__pycache__") copy(path.join(from, name), to + "/" + name);
    }
  } else {
    micropython.FS.writeFile(to, fs.readFileSync(from));
  }
}

for (const mount of mounts) copy(...mount.split("="));
try {
  micropython.runPython(code);
} catch (error) {
  process.stdout.write(String(error.message ?? error) + "\n");
  process.exitCode = 1;
}
