/** Writes small checkpoints in the forms they come in, byte by byte and without the library. */
import { readFileSync, writeFileSync } from 'node:fs'
import { crc32, gunzipSync } from 'node:zlib'
import { join } from 'node:path'

/** A tensor as it lies in a file. */
export interface Raw { type: string, shape: number[], bytes: Buffer }
export type Raws = Record<string, Raw>

const fixtures = join(__dirname, 'fixtures')
export const tiny = join(fixtures, 'tiny-sd-a')

/** Names of the original Stable Diffusion → [diffusers' names, shape], from layouts.py. */
export type Layout = Record<'unet' | 'vae', Record<string, [name: string, ...shape: number[]]>>
export const layouts: Record<'sd1' | 'tiny' | 'other', Layout> =
  JSON.parse(gunzipSync(readFileSync(join(fixtures, 'layouts.json.gz'))).toString())

const map = (raws: Raws, f: (name: string, o: Raw) => [string, Raw]): Raws =>
  Object.fromEntries(Object.entries(raws).map(([name, o]) => f(name, o)))

export function readRaws(path: string): Raws {
  const bytes = readFileSync(path), start = 8 + Number(bytes.readBigUInt64LE())
  const { __metadata__, ...entries } = JSON.parse(bytes.toString('utf8', 8, start))
  return Object.fromEntries(Object.entries<any>(entries).map(([name, { dtype, shape, data_offsets: [from, to] }]) =>
    [name, { type: dtype, shape, bytes: bytes.subarray(start + from, start + to) }]))
}

/** The header of a safetensors file; `sizeOf` says how many bytes a tensor has. */
export function headerBytes(raws: Record<string, Omit<Raw, 'bytes'>>, sizeOf: (name: string) => number): Buffer {
  let at = 0
  const entries = Object.entries(raws).map(([name, { type: dtype, shape }]) =>
    [name, { dtype, shape, data_offsets: [at, at += sizeOf(name)] }])
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries))), length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text])
}

export function writeSafetensors(path: string, raws: Raws): void {
  const head = headerBytes(raws, name => raws[name].bytes.length)
  writeFileSync(path, Buffer.concat([head, ...Object.values(raws).map(o => o.bytes)]))
}

const halfBits = (x: number): number => {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0, size = Math.abs(x)
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 2 ** -14)))
  return sign + 1024 * (exponent + 14) + Math.round(size / 2 ** exponent * 1024)
}
const float = (h: number): number => {
  const exponent = h >> 10 & 31, fraction = h & 1023
  return (h >> 15 ? -1 : 1) * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24)
}
const words = (o: Raw) => new Uint16Array(Uint8Array.from(o.bytes).buffer)
const floats = (o: Raw) => new Float32Array(Uint8Array.from(o.bytes).buffer)
const bytesOf = (o: Uint16Array | Float32Array) => Buffer.from(o.buffer, o.byteOffset, o.byteLength)

/** The tensors in half precision. */
export const halved = (raws: Raws): Raws => map(raws, (name, o) => [name, o.type === 'F16' ? o
  : { type: 'F16', shape: o.shape, bytes: bytesOf(Uint16Array.from(floats(o), halfBits)) }])

/** Halves as numbers of four bytes, which are exactly the same numbers. */
export const widened = (raws: Raws): Raws => map(raws, (name, o) =>
  [name, { type: 'F32', shape: o.shape, bytes: bytesOf(Float32Array.from(words(o), float)) }])

/** The upper half of each number, and again as a number of four bytes. */
export const cut = (raws: Raws): [brain: Raws, wide: Raws] => {
  const upper = (o: Raw) => Uint16Array.from(words(o).filter((_, i) => i % 2))
  const brain = map(raws, (name, o) => [name, { type: 'BF16', shape: o.shape, bytes: bytesOf(upper(o)) }])
  const wide = map(brain, (name, o) =>
    [name, { type: 'F32', shape: o.shape, bytes: bytesOf(new Float32Array(Uint32Array.from(words(o), h => h << 16).buffer)) }])
  return [brain, wide]
}

/** Attention's names in autoencoders of before 2023. */
export const oldVae = (raws: Raws): Raws => map(raws, (name, o) => {
  const old: Record<string, string> = { to_q: 'query', to_k: 'key', to_v: 'value', 'to_out.0': 'proj_attn' }
  return [name.replace(/(attentions\.0\.)(to_[qkv]|to_out\.0)/, (_, place, word) => place + old[word]), o]
})

/** One set of tensors under the first names; attention in the autoencoder is a convolution there. */
export function asOriginal(parts: Record<'unet' | 'vae' | 'text', Raws>, layout: Layout = layouts.tiny): Raws {
  const from = (part: 'unet' | 'vae') => Object.fromEntries(Object.entries(layout[part])
    .map(([old, [name, ...shape]]) => [old, { ...parts[part][name], shape }]))
  const text = map(parts.text, (name, o) => [`cond_stage_model.transformer.${name}`, o])
  return { ...from('unet'), ...from('vae'), ...text }
}

// *** PyTorch's zip ***

const storages: Record<string, string> = { F32: 'Float', F16: 'Half', BF16: 'BFloat16', I64: 'Long' }
const int = (n: number) => { const o = Buffer.alloc(5, 'J'); o.writeInt32LE(n, 1); return o }
const str = (text: string) => Buffer.concat([Buffer.from('X'), int(Buffer.byteLength(text)).subarray(1), Buffer.from(text)])
const tuple = (...items: Buffer[]) => Buffer.concat([Buffer.from('('), ...items, Buffer.from('t')])
const named = (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`)
const steps = (shape: number[]) => shape.map((_, k) => shape.slice(k + 1).reduce((a, b) => a * b, 1))

/** A tensor over storage `key`, as torch.save describes it. */
function tensorPickle({ type, shape }: Raw, key: string): Buffer {
  const count = shape.reduce((a, b) => a * b, 1)
  const storage = tuple(str('storage'), named('torch', `${storages[type]}Storage`), str(key), str('cpu'), int(count))
  const args = tuple(storage, Buffer.from('Q'), int(0), tuple(...shape.map(int)), tuple(...steps(shape).map(int)),
    Buffer.from('\x89', 'latin1'), named('collections', 'OrderedDict'), Buffer.from(')R'))
  return Buffer.concat([named('torch._utils', '_rebuild_tensor_v2'), args, Buffer.from('R')])
}

/** Files to be put into a zip, without compression. `wide`: sizes and places in the form beyond 4 GB. */
export function zipBytes(files: [name: string, bytes: Buffer][], wide = false): Buffer {
  const parts: Buffer[] = [], list: Buffer[] = []
  let at = 0
  const most = 2 ** 32 - 1, add = (...o: Buffer[]) => { parts.push(...o); at += o.reduce((n, b) => n + b.length, 0) }
  for (const [name, bytes] of files) {
    const head = Buffer.alloc(30), entry = Buffer.alloc(46), extra = Buffer.alloc(wide ? 28 : 0)
    head.write('PK\x03\x04')
    head.writeUInt16LE(name.length, 26)
    entry.write('PK\x01\x02')
    entry.writeUInt32LE(crc32(bytes), 16)
    for (const [i, n] of [[20, bytes.length], [24, bytes.length], [42, at]]) entry.writeUInt32LE(wide ? most : n, i)
    entry.writeUInt16LE(name.length, 28)
    entry.writeUInt16LE(extra.length, 30)
    if (wide) {
      extra.writeUInt16LE(1)
      extra.writeUInt16LE(24, 2)
      for (const [i, n] of [bytes.length, bytes.length, at].entries()) extra.writeBigUInt64LE(BigInt(n), 4 + 8 * i)
    }
    list.push(entry, Buffer.from(name), extra)
    add(head, Buffer.from(name), bytes)
  }
  const start = at, end = Buffer.alloc(22), length = list.reduce((n, o) => n + o.length, 0)
  add(...list)
  if (wide) add(...wideEnd(files.length, length, start))
  end.write('PK\x05\x06')
  end.writeUInt16LE(wide ? 65535 : files.length, 10)
  end.writeUInt32LE(wide ? most : length, 12)
  end.writeUInt32LE(wide ? most : start, 16)
  return Buffer.concat([...parts, end])
}

function wideEnd(count: number, length: number, start: number): Buffer[] {
  const end = Buffer.alloc(56), locator = Buffer.alloc(20)
  end.write('PK\x06\x06')
  for (const [i, n] of [[24, count], [32, count], [40, length], [48, start]]) end.writeBigUInt64LE(BigInt(n), i)
  locator.write('PK\x06\x07')
  locator.writeBigUInt64LE(BigInt(start + length), 8)
  return [end, locator]
}

/** The files of torch.save for weights, under `state_dict` beside what a training leaves. */
export function torchFiles(raws: Raws): [name: string, bytes: Buffer][] {
  const items = Object.entries(raws).map(([name, o], i) => Buffer.concat([str(name), tensorPickle(o, String(i))]))
  const state = Buffer.concat([named('collections', 'OrderedDict'), Buffer.from(')R('), ...items, Buffer.from('u')])
  const note = Buffer.concat([Buffer.from('}'), named('pytorch_lightning.callbacks.model_checkpoint', 'ModelCheckpoint'), Buffer.from('}s')])
  const root = [str('global_step'), int(470000), str('state_dict'), state, str('callbacks'), note]
  const pickle = Buffer.concat([Buffer.from('\x80\x02}(', 'latin1'), ...root, Buffer.from('u.')])
  return [['archive/data.pkl', pickle], ...Object.values(raws).map((o, i): [string, Buffer] => [`archive/data/${i}`, o.bytes])]
}

export const writeTorch = (path: string, raws: Raws, wide = false) => writeFileSync(path, zipBytes(torchFiles(raws), wide))
