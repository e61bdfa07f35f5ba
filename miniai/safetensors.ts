// Do not edit: made by "npm run export" from ../nbs/07c_safetensors.ipynb (109a429e126a)
// A file for weights: a line that says what is in it, and then the numbers. Written whole or not at all, and read with suspicion.

import { createHash } from 'crypto'
import { closeSync, existsSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync,
  writeSync } from 'fs'
import { basename, dirname, join } from 'path'
import { inspect } from 'util'
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
  let at = 0
  const entries = parts.map(([name, { dtype, shape }, bytes]) =>
    [name, { dtype: kinds[dtype], shape, data_offsets: [at, at += bytes.length] }])
  const prints = parts.map(([name, , bytes]) => [`sha256.${name}`, fingerprint(bytes)])
  const texts = { ...metadata, ...Object.fromEntries(prints) }
  const json = JSON.stringify({ __metadata__: texts, ...Object.fromEntries(entries) })
  const text = Buffer.from(json.padEnd(json.length + (-Buffer.byteLength(json) & 7)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text])
}

// %% ../nbs/07c_safetensors.ipynb 424bf6e1
function writeAll(path: string, parts: Uint8Array[]): void {
  const file = openSync(path, 'w')
  try {
    for (const part of parts) for (let at = 0; at < part.length;) at += writeSync(file, part, at)
    fsyncSync(file)
  } finally { closeSync(file) }
}

function writeWhole(path: string, parts: Uint8Array[]): void {
  const folder = dirname(path), temp = join(folder, `.${basename(path)}.part`)
  if (!existsSync(folder)) throw new Error(`there is no folder ${folder} to write to`)
  try {
    writeAll(temp, parts)
    renameSync(temp, path)
  } catch (error) {
    rmSync(temp, { force: true })
    throw error
  }
}

// %% ../nbs/07c_safetensors.ipynb 131bb0e5
/** Write named tensors and some texts to a safetensors file; the file is the old or the new one. */
export function saveTensors(
  path: string, tensors: Record<string, tf.Tensor>, metadata: Metadata = {}): void {
  const own = Object.keys(metadata).find(o => o.startsWith('sha256.'))
  if (own) throw new Error(`saveTensors: the text "${own}" would be taken for a fingerprint`)
  const odd = Object.keys(metadata).find(name => typeof metadata[name] !== 'string')
  if (odd !== undefined) {
    throw new Error(`saveTensors: wanted texts, got ${inspect(metadata[odd])} under "${odd}"`)
  }
  if (Object.hasOwn(tensors, '__metadata__')) {
    throw new Error('saveTensors: "__metadata__" is the name of the texts, not of a tensor')
  }
  const parts = Object.entries(tensors).map(([name, x]): [string, tf.Tensor, Uint8Array] => {
    if (kinds[x.dtype]) return [name, x, bytesOf(x)]
    throw new Error(`saveTensors: "${name}" has the type ${x.dtype}, wanted numbers`)
  })
  writeWhole(path, [headerOf(parts, metadata), ...parts.map(([, , bytes]) => bytes)])
}

// %% ../nbs/07c_safetensors.ipynb ea25c2b3
function half(h: number): number {
  const sign = h & 0x8000 ? -1 : 1, exponent = h >> 10 & 31, fraction = h & 1023
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24)
}

// %% ../nbs/07c_safetensors.ipynb c612d520
let halves: Float32Array | undefined

function fromHalf(bits: Uint16Array): Float32Array {
  const table = halves ??= Float32Array.from({ length: 2 ** 16 }, (_, h) => half(h))
  const out = new Float32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = table[bits[i]]
  return out
}

function fromBrain(bits: Uint16Array): Float32Array {
  const out = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) out[i] = bits[i] << 16
  return new Float32Array(out.buffer)
}

function fromLong(longs: BigInt64Array, what: string): Int32Array {
  const far = longs.find(o => BigInt.asIntN(32, o) !== o)
  if (far === undefined) return Int32Array.from(longs, Number)
  throw new RangeError(`${what} has the number ${far}, wanted one of 32 bits`)
}

// %% ../nbs/07c_safetensors.ipynb e1ed7095
/** How numbers of a type are stored: bytes for each, and what becomes of them here. */
export interface NumberType {
  size: number
  dtype: 'float32' | 'int32' | 'bool'
  /** A refusal names `what`. */
  read(bytes: ArrayBuffer, what?: string): tf.TypedArray
}

/** The types of numbers that weights come in, by their names in a safetensors file. */
export const numberTypes: Record<string, NumberType> = {
  F64: { size: 8, dtype: 'float32', read: b => Float32Array.from(new Float64Array(b)) },
  F32: { size: 4, dtype: 'float32', read: b => new Float32Array(b) },
  F16: { size: 2, dtype: 'float32', read: b => fromHalf(new Uint16Array(b)) },
  BF16: { size: 2, dtype: 'float32', read: b => fromBrain(new Uint16Array(b)) },
  I64: { size: 8, dtype: 'int32', read: (b, what = 'I64') => fromLong(new BigInt64Array(b), what) },
  I32: { size: 4, dtype: 'int32', read: b => new Int32Array(b) },
  U8: { size: 1, dtype: 'int32', read: b => Int32Array.from(new Uint8Array(b)) },
  BOOL: { size: 1, dtype: 'bool', read: b => new Uint8Array(b) },
}

// %% ../nbs/07c_safetensors.ipynb 24f20b18
const isCount = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0

/** What is wrong with an entry whose bytes should begin at `at` in `size` bytes of numbers. */
function fault(entry: Partial<Entry> | null, at: number, size: number): string | undefined {
  const { dtype = '', shape, data_offsets: place } = entry ?? {}
  if (!Object.hasOwn(numberTypes, dtype)) return `is of an unknown type, "${dtype}"`
  if (!Array.isArray(shape) || !shape.every(isCount)) return 'has no shape'
  const isPlace = Array.isArray(place) && place.length === 2 && place.every(isCount)
  if (!isPlace) return 'has no place in the file'
  const [from, to] = place
  const bytes = shape.reduce((a, b) => a * b, 1) * numberTypes[dtype].size
  if (to - from !== bytes) return `needs ${bytes} bytes for [${shape}], has ${to - from}`
  if (from !== at) return `begins at byte ${from}, wanted ${at}`
  if (to > size) return `ends at byte ${to}, but the file's numbers end at ${size}: it is cut off`
}

// %% ../nbs/07c_safetensors.ipynb 31725134
/** A file that is read in pieces and must stay as it is meanwhile. */
export class Pieces {
  readonly size: number
  private stamp: string
  constructor(public path: string) {
    if (!existsSync(path)) throw new Error(`there is no file ${path}`)
    const { size, stamp } = this.visit(file => this.look(file))
    this.size = size
    this.stamp = stamp
  }
  private look(file: number) {
    const { ino, size, mtimeMs } = fstatSync(file)
    return { size, stamp: `${ino} ${size} ${mtimeMs}` }
  }
  private visit<T>(f: (file: number) => T): T {
    const file = openSync(this.path, 'r')
    try { return f(file) } finally { closeSync(file) }
  }
  /** `n` bytes from `at` on. */
  read(at: number, n: number): ArrayBuffer {
    return this.visit(file => {
      const isSame = this.look(file).stamp === this.stamp
      if (!isSame) throw new Error(`${this.path} was changed meanwhile`)
      const bytes = new Uint8Array(n)
      for (let k = 0; k < n;) {
        const got = readSync(file, bytes, k, Math.min(n - k, 2 ** 30), at + k)
        if (!got) throw new Error(`${this.path} ends at byte ${at + k}: it is cut off`)
        k += got
      }
      return bytes.buffer
    })
  }
}

// %% ../nbs/07c_safetensors.ipynb 39427ebb
function parse(text: string, foreign: (why: string) => Error): Record<string, any> {
  let o: unknown
  try { o = JSON.parse(text) } catch { throw foreign('its header is not JSON') }
  if (!o || typeof o !== 'object' || Array.isArray(o)) throw foreign('its header is no object')
  return o
}

function readHeader(file: Pieces) {
  const foreign = (why: string) => new Error(`${file.path} is not a safetensors file: ${why}`)
  if (file.size < 8) throw foreign(`it has ${file.size} bytes`)
  const length = Number(new DataView(file.read(0, 8)).getBigUint64(0, true)), start = 8 + length
  if (length > Math.min(file.size - 8, 1e8)) throw foreign(`its header would have ${length} bytes`)
  const text = new TextDecoder().decode(file.read(8, length))
  const { __metadata__: metadata = {}, ...entries } = parse(text, foreign)
  const isTexts = metadata && typeof metadata === 'object' && !Array.isArray(metadata)
    && Object.values(metadata).every(o => typeof o === 'string')
  if (!isTexts) throw foreign('its __metadata__ are no texts')
  return { metadata: metadata as Metadata, entries: entries as Header, start }
}

// %% ../nbs/07c_safetensors.ipynb c1109bf5
/** The header of a file, its entries in the order of their bytes, without a doubt about them. */
function soundHeader(file: Pieces) {
  const { metadata, entries, start } = readHeader(file), { path } = file, size = file.size - start
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
  return { metadata, sorted, start }
}

// %% ../nbs/07c_safetensors.ipynb e29378bf
/** A tensor that lies in a file: `type` is one of `numberTypes`; `read` fetches its numbers. */
export interface Stored { shape: number[], type: string, read(): tf.Tensor }

/** The tensors of a safetensors file, yet unread, and its texts. */
export function openTensors(path: string): { tensors: Record<string, Stored>, metadata: Metadata } {
  const file = new Pieces(path), { metadata, sorted, start } = soundHeader(file)
  const stored = sorted.map(([name, { dtype: type, shape, data_offsets: [from, to] }]) => {
    const read = () => {
      const bytes = file.read(start + from, to - from), print = metadata[`sha256.${name}`]
      const isRight = !print || print === fingerprint(new Uint8Array(bytes)), o = numberTypes[type]
      if (isRight) return tf.tensor(o.read(bytes, `${path}: "${name}"`), shape, o.dtype)
      throw new Error(`${path}: "${name}" is damaged: its numbers are not those that were stored`)
    }
    return [name, { shape, type, read }]
  })
  const prints = new Set(sorted.map(([name]) => `sha256.${name}`))
  const texts = Object.entries(metadata).filter(([name]) => !prints.has(name))
  return { tensors: Object.fromEntries(stored), metadata: Object.fromEntries(texts) }
}

// %% ../nbs/07c_safetensors.ipynb 24c0c9e3
/** The tensors of a safetensors file (those that `only` picks) and its texts. */
export function loadTensors(
  path: string, { only = () => true }: { only?: (name: string) => boolean } = {}):
  { tensors: Record<string, tf.Tensor>, metadata: Record<string, string> } {
  const { tensors: stored, metadata } = openTensors(path), tensors: [string, tf.Tensor][] = []
  try {
    for (const [name, o] of Object.entries(stored)) if (only(name)) tensors.push([name, o.read()])
    return { tensors: Object.fromEntries(tensors), metadata }
  } catch (e) {
    tf.dispose(tensors.map(([, x]) => x))
    throw e
  }
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
