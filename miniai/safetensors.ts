// Do not edit: made by "npm run export" from ../nbs/07c_safetensors.ipynb (289bdfb111fe)
// A file for weights: a line that says what is in it, and then the numbers. Written whole or not at all, and read with suspicion.

import { createHash } from 'crypto'
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, writeSync } from 'fs'
import { basename, dirname, join } from 'path'
import { tf } from './engine'
import { Params } from './training'

// %% ../nbs/07c_safetensors.ipynb c318a48d
type Entry = { dtype: string, shape: number[], data_offsets: [from: number, to: number] }
type Header = Record<string, Entry>
type Metadata = Record<string, string>
const kinds: Record<string, string> = { float32: 'F32', int32: 'I32', bool: 'BOOL' }

// %% ../nbs/07c_safetensors.ipynb 325e65c6
const bytesOf = (x: tf.Tensor): Uint8Array => {
  const data = x.dataSync()
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

// %% ../nbs/07c_safetensors.ipynb 10399745
const fingerprint = (bytes: Uint8Array) =>
  createHash('sha256').update(bytes).digest('hex').slice(0, 32)

function headerOf(parts: [string, tf.Tensor, Uint8Array][], metadata: Metadata): Buffer {
  const entries: Header = {}, texts = { ...metadata }
  let at = 0
  for (const [name, { dtype, shape }, bytes] of parts) {
    entries[name] = { dtype: kinds[dtype], shape, data_offsets: [at, at += bytes.length] }
    texts[`sha256.${name}`] = fingerprint(bytes)
  }
  const json = JSON.stringify({ __metadata__: texts, ...entries })
  const text = Buffer.from(json.padEnd(json.length + (-Buffer.byteLength(json) & 7)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text])
}

// %% ../nbs/07c_safetensors.ipynb 424bf6e1
function writeWhole(path: string, parts: Uint8Array[]): void {
  const temp = join(dirname(path), `.${basename(path)}.part`), file = openSync(temp, 'w')
  try {
    for (const part of parts) for (let at = 0; at < part.length;) at += writeSync(file, part, at)
    fsyncSync(file)
  } finally { closeSync(file) }
  renameSync(temp, path)
}

// %% ../nbs/07c_safetensors.ipynb 131bb0e5
/** Write named tensors and some texts to a safetensors file; the file is the old or the new one. */
export function saveTensors(
  path: string, tensors: Record<string, tf.Tensor>, metadata: Metadata = {}): void {
  const parts = Object.entries(tensors).map(([name, x]): [string, tf.Tensor, Uint8Array] => {
    if (kinds[x.dtype]) return [name, x, bytesOf(x)]
    throw new Error(`saveTensors: "${name}" has the type ${x.dtype}, wanted numbers`)
  })
  writeWhole(path, [headerOf(parts, metadata), ...parts.map(([, , bytes]) => bytes)])
}

// %% ../nbs/07c_safetensors.ipynb f9010f78
function half(h: number): number {
  const sign = h & 0x8000 ? -1 : 1, exponent = h >> 10 & 31, fraction = h & 1023
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24)
}
const brain = (bits: Uint16Array) => new Float32Array(Uint32Array.from(bits, h => h << 16).buffer)

// %% ../nbs/07c_safetensors.ipynb 282476fc
type Kind = 'float32' | 'int32' | 'bool'
type Reader = { size: number, dtype: Kind, read(b: ArrayBuffer): tf.TypedArray }
const readers: Record<string, Reader> = {
  F64: { size: 8, dtype: 'float32', read: b => Float32Array.from(new Float64Array(b)) },
  F32: { size: 4, dtype: 'float32', read: b => new Float32Array(b) },
  F16: { size: 2, dtype: 'float32', read: b => Float32Array.from(new Uint16Array(b), half) },
  BF16: { size: 2, dtype: 'float32', read: b => brain(new Uint16Array(b)) },
  I64: { size: 8, dtype: 'int32', read: b => Int32Array.from(new BigInt64Array(b), Number) },
  I32: { size: 4, dtype: 'int32', read: b => new Int32Array(b) },
  U8: { size: 1, dtype: 'int32', read: b => Int32Array.from(new Uint8Array(b)) },
  BOOL: { size: 1, dtype: 'bool', read: b => new Uint8Array(b) },
}

// %% ../nbs/07c_safetensors.ipynb 15209dab
const isCount = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0

/** What is wrong with an entry whose bytes should begin at `at` in `size` bytes of numbers. */
function fault(entry: Partial<Entry> | null, at: number, size: number): string | undefined {
  const { dtype = '', shape, data_offsets = [-1, -1] } = entry ?? {}, [from, to] = data_offsets
  if (!Object.hasOwn(readers, dtype)) return `is of an unknown type, "${dtype}"`
  if (!Array.isArray(shape) || !shape.every(isCount)) return 'has no shape'
  const bytes = shape.reduce((a, b) => a * b, 1) * readers[dtype].size
  if (to - from !== bytes) return `needs ${bytes} bytes for [${shape}], has ${to - from}`
  if (from !== at) return `begins at byte ${from}, wanted ${at}`
  if (to > size) return `ends at byte ${to}, but the file's numbers end at ${size}: it is cut off`
}

// %% ../nbs/07c_safetensors.ipynb f19620c7
function readAt(file: number, at: number, n: number): ArrayBuffer {
  const bytes = new Uint8Array(n)
  for (let k = 0; k < n;) {
    const got = readSync(file, bytes, k, Math.min(n - k, 2 ** 30), at + k)
    if (!got) throw new Error('the file became shorter while it was read')
    k += got
  }
  return bytes.buffer
}

// %% ../nbs/07c_safetensors.ipynb 8238dcc1
function parse(text: string, foreign: (why: string) => Error): Record<string, any> {
  let o: unknown
  try { o = JSON.parse(text) } catch { throw foreign('its header is not JSON') }
  if (!o || typeof o !== 'object' || Array.isArray(o)) throw foreign('its header is no object')
  return o
}

function readHeader(file: number, path: string) {
  const { size } = fstatSync(file)
  const foreign = (why: string) => new Error(`${path} is not a safetensors file: ${why}`)
  if (size < 8) throw foreign(`it has ${size} bytes`)
  const length = Number(new DataView(readAt(file, 0, 8)).getBigUint64(0, true))
  if (length > Math.min(size - 8, 1e8)) throw foreign(`its header would have ${length} bytes`)
  const text = new TextDecoder().decode(readAt(file, 8, length))
  const { __metadata__: metadata = {}, ...entries } = parse(text, foreign)
  const start = 8 + length
  return { metadata: metadata as Metadata, entries: entries as Header, start, size: size - start }
}

// %% ../nbs/07c_safetensors.ipynb 47832bf0
type Named = [name: string, entry: Entry]

function readTensor(
  file: number, start: number, [name, entry]: Named, metadata: Metadata): tf.Tensor {
  const { dtype, read } = readers[entry.dtype], [from, to] = entry.data_offsets
  const bytes = readAt(file, start + from, to - from), print = metadata[`sha256.${name}`]
  if (print && print !== fingerprint(new Uint8Array(bytes))) {
    throw new Error(`"${name}" is damaged: its numbers are not those that were stored`)
  }
  return tf.tensor(read(bytes), entry.shape, dtype)
}

// %% ../nbs/07c_safetensors.ipynb bcc5e549
function readAll(file: number, path: string, only: (name: string) => boolean) {
  const { metadata, entries, start, size } = readHeader(file, path)
  const sorted = Object.entries(entries)
    .sort(([, a], [, b]) => (a?.data_offsets?.[0] ?? 0) - (b?.data_offsets?.[0] ?? 0))
  let at = 0
  for (const [name, entry] of sorted) {
    const wrong = fault(entry, at, size)
    if (wrong) throw new Error(`${path}: "${name}" ${wrong}`)
    at = entry.data_offsets[1]
  }
  const extra = `${size - at} bytes after "${sorted.at(-1)?.[0]}"`
  if (at < size) throw new Error(`${path}: ${extra} belong to no tensor`)
  return { metadata, wanted: sorted.filter(([name]) => only(name)), start }
}

// %% ../nbs/07c_safetensors.ipynb e68c2b1f
/** The tensors of a safetensors file (those that `only` picks) and its texts. */
export function loadTensors(
  path: string, { only = () => true }: { only?: (name: string) => boolean } = {}):
  { tensors: Record<string, tf.Tensor>, metadata: Record<string, string> } {
  const file = openSync(path, 'r'), tensors: Record<string, tf.Tensor> = {}
  try {
    const { metadata, wanted, start } = readAll(file, path, only)
    for (const entry of wanted) tensors[entry[0]] = readTensor(file, start, entry, metadata)
    const texts = Object.entries(metadata).filter(([name]) => !name.startsWith('sha256.'))
    return { tensors, metadata: Object.fromEntries(texts) }
  } catch (e) {
    tf.dispose(tensors)
    const { message } = e as Error
    throw message.includes(path) ? e : new Error(`${path}: ${message}`, { cause: e })
  } finally { closeSync(file) }
}

// %% ../nbs/07c_safetensors.ipynb 572fee93
/** Anything whose variables can be asked for by name, as a `Module`'s. */
export interface Stateful { state(): Params }

/** Store a model's state, and some texts, as safetensors. */
export function saveModel(path: string, model: Stateful, metadata: Record<string, string> = {}): void {
  saveTensors(path, model.state(), metadata)
}

// %% ../nbs/07c_safetensors.ipynb 65268bb0
/** Give variables the values of tensors of the same names and shapes; a refusal names `what`. */
export function assignAll(state: Params, tensors: Record<string, tf.Tensor>, what: string): void {
  const refuse = (why: string): never => { throw new Error(`${what}: ${why}`) }
  for (const [name, v] of Object.entries(state)) {
    const x = tensors[name]
    if (!x) refuse(`there is no "${name}"`)
    const shapes = `has the shape [${x.shape}], wanted [${v.shape}]`
    if (`${x.shape}` !== `${v.shape}`) refuse(`"${name}" ${shapes}`)
    if (x.dtype !== v.dtype) refuse(`"${name}" has the type ${x.dtype}, wanted ${v.dtype}`)
  }
  const odd = Object.keys(tensors).find(name => !Object.hasOwn(state, name))
  if (odd !== undefined) refuse(`"${odd}" belongs to another model`)
  for (const [name, v] of Object.entries(state)) v.assign(tensors[name] as tf.Variable)
}

// %% ../nbs/07c_safetensors.ipynb 27ad0a1d
/** Give a model the weights of a safetensors file, which must fit; gives the texts in it. */
export function loadModel(path: string, model: Stateful): Record<string, string> {
  const { tensors, metadata } = loadTensors(path)
  try { assignAll(model.state(), tensors, path) } finally { tf.dispose(tensors) }
  return metadata
}
