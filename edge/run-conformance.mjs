// Runs every case of conformance/ through the wasm build of the kernel and compares the answers as JSON text, byte for byte.
// It parses no number: JavaScript would round what Rust does not.
//
//   node edge/run-conformance.mjs MODULE.wasm CONFORMANCE_FOLDER

import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** The text without the white space between its tokens. */
const compact = (text) => (text.match(TOKENS) ?? []).join("");

/** The parts of a JSON object or array as [key or null, compact text of the value], in order. */
function parts(text) {
  const tokens = text.match(TOKENS) ?? [];
  const found = [];
  let depth = 0;
  let key = null;
  let value = "";
  for (const token of tokens) {
    const opens = token === "{" || token === "[";
    const closes = token === "}" || token === "]";
    if (closes) depth -= 1;
    if (depth === 0 && (opens || closes)) {
      // the brackets of the whole text
    } else if (depth === 1 && token === ":" && key === null) {
      key = JSON.parse(value);
      value = "";
    } else if (depth === 1 && token === ",") {
      found.push([key, value]);
      key = null;
      value = "";
    } else {
      value += token;
    }
    if (opens) depth += 1;
  }
  if (value !== "") found.push([key, value]);
  return found;
}

/** A module instance as one function from request text to answer text. */
async function load(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes);
  const { memory, luopan_alloc, luopan_free, luopan_call } = instance.exports;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return (text) => {
    const request = encoder.encode(text);
    const address = luopan_alloc(request.length) >>> 0;
    if (address === 0) throw new Error(`the module has no room for a request of ${request.length} bytes`);
    new Uint8Array(memory.buffer, address, request.length).set(request);
    const packed = BigInt.asUintN(64, luopan_call(address, request.length));
    luopan_free(address, request.length);
    const at = Number(packed >> 32n);
    const length = Number(packed & 0xffffffffn);
    // The memory may have grown during the call, so its buffer is looked up again.
    const answer = decoder.decode(new Uint8Array(memory.buffer, at, length).slice());
    luopan_free(at, length);
    return answer;
  };
}

const [module, folder] = process.argv.slice(2);
if (module === undefined || folder === undefined) {
  console.error("usage: node edge/run-conformance.mjs MODULE.wasm CONFORMANCE_FOLDER");
  process.exit(2);
}

const bytes = await readFile(module);
const names = (await readdir(folder, { recursive: true }))
  // conformance/rules holds market rules in a form of its own, which other tests run
  .filter((name) => name.endsWith(".json") && !/^rules[\\/]/.test(name))
  .sort();
let call = await load(bytes);
let passed = 0;
let failed = 0;

for (const name of names) {
  const text = await readFile(join(folder, name), "utf8");
  JSON.parse(text); // says where the text is not JSON
  const cases = parts(new Map(parts(text)).get("cases") ?? "[]");
  for (const [, written] of cases) {
    const fields = new Map(parts(written));
    const expected = fields.get("response");
    let got;
    try {
      got = call(fields.get("request") ?? "");
    } catch (error) {
      got = `trap: ${error}`;
      call = await load(bytes);
    }
    if (got === expected) {
      passed += 1;
    } else {
      failed += 1;
      console.error(`${name}: ${JSON.parse(fields.get("name") ?? "null")}\n  expected ${expected}\n  got      ${got}`);
    }
  }
}

if (passed + failed === 0) {
  console.error(`no case was found under ${folder}`);
  process.exit(1);
}
console.log(`conformance: ${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
