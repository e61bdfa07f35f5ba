// Do not edit: made by "npm run export" from ../nbs/24a_weights.ipynb (97aa87fc8d58)
// The weights of Stable Diffusion come as a folder or as one file, under two sets of names, in three kinds of numbers. One function opens them all, and another gives them to our own networks.

import { existsSync, readFileSync, readdirSync, statSync } from 'fs'
import { basename, join } from 'path'
import { inspect } from 'util'
import * as zlib from 'zlib'
import { tf } from './engine'
import { unpickle } from './files'
import { Pieces, Stored, numberTypes, openTensors } from './safetensors'
import { ClipTokenizer } from './tokenizer'
import { Module, Params } from './training'
import { UNetConfig, camelKeys, fromTorch, sdUNet } from './unet'

// %% ../nbs/24a_weights.ipynb e700902c
type Json = Record<string, unknown>

function readJson(path: string): Json {
  const wanted = (got: string) => new Error(`${path}: wanted a JSON object, got ${got}`)
  if (!existsSync(path)) throw wanted('no such file')
  const text = readFileSync(path, 'utf8')
  let o: unknown
  try { o = JSON.parse(text) } catch (e) { throw wanted((e as Error).message) }
  if (o && typeof o === 'object' && !Array.isArray(o)) return o as Json
  throw wanted(inspect(o).slice(0, 40))
}

// %% ../nbs/24a_weights.ipynb 7d5f118e
/** Tensors by their names, yet unread. */
export type Tensors = Record<string, Stored>

// %% ../nbs/24a_weights.ipynb 8c8eba5d
/** A way in which a part lies in its folder. `isList`: the file names the files. */
type Choice = { file: string, variant: string, isList: boolean }

const bases = '(?:diffusion_pytorch_model|pytorch_model|model)'
const variants = '(?:\\.(?!index)(\\w+))?'
const form = new RegExp(`^${bases}${variants}\\.(?:safetensors|bin)(\\.index${variants}\\.json)?$`)

function choices(files: string[]): Choice[] {
  return files.flatMap(file => {
    const [is, before, index, after] = form.exec(file) ?? []
    return is ? [{ file, variant: before ?? after ?? '', isList: Boolean(index) }] : []
  })
}

// %% ../nbs/24a_weights.ipynb a36b16c7
/** Good ones first. */
function ranked(all: Choice[], variant?: string): Choice[] {
  const order = [...variant ? [variant] : [], '', 'fp16', 'non_ema']
  const rank = ({ variant, file }: Choice) =>
    2 * (order.indexOf(variant) + 1 || order.length + 1) + Number(/\.bin\b/.test(file))
  return [...all].sort((a, b) => rank(a) - rank(b))
}

// %% ../nbs/24a_weights.ipynb 8f617a7a
const parts = { unet: 'UNet2DConditionModel', vae: 'AutoencoderKL', text_encoder: 'CLIPTextModel' }
type PartName = keyof typeof parts

const texts = ['model_index.json', 'scheduler/scheduler_config.json',
  ...Object.keys(parts).map(o => `${o}/config.json`),
  ...['vocab.json', 'merges.txt', 'tokenizer.json', 'tokenizer_config.json',
    'special_tokens_map.json'].map(o => `tokenizer/${o}`)]

/** Whether a file is a piece of the model whose list was chosen. */
function isPiece(name: string, { file, variant, isList }: Choice): boolean {
  const whole = name.replace(/-\d+-of-\d+/, ''), isPickle = (o: string) => /\.bin\b/.test(o)
  return isList && whole !== name && isPickle(whole) === isPickle(file)
    && choices([whole])[0]?.variant === variant
}

// %% ../nbs/24a_weights.ipynb 524420f7
/** Of the files of a repository those that `openCheckpoint` would read. */
export function neededFiles(all: string[], variant?: string): string[] {
  const weights = Object.keys(parts).flatMap(part => {
    const files = all.filter(o => o.startsWith(`${part}/`)).map(o => o.slice(part.length + 1))
    const best = ranked(choices(files), variant).slice(0, 1)
    const pieces = best.flatMap(o => files.filter(name => isPiece(name, o)))
    return [...best.map(o => o.file), ...pieces].map(o => `${part}/${o}`)
  })
  return [...texts.filter(o => all.includes(o)), ...weights]
}

// %% ../nbs/24a_weights.ipynb fc094a2e
function openPieces(path: string, open: (path: string) => Tensors): Tensors {
  const places = Object.entries(readJson(path).weight_map as object ?? {}) as [string, string][]
  const files = [...new Set(places.map(([, file]) => String(file)))], folder = join(path, '..')
  const odd = files.find(o => o !== basename(o))
  if (odd || !files.length) throw new Error(`${path}: wanted names of files, got ${inspect(odd)}`)
  const opened = new Map(files.map(file => [file, open(join(folder, file))]))
  const lost = places.find(([name, file]) => !Object.hasOwn(opened.get(file)!, name))
  if (lost) throw new Error(`${path}: "${lost[0]}" should be in ${lost[1]}, where it is not`)
  return Object.assign({}, ...opened.values())
}

// %% ../nbs/24a_weights.ipynb be7d202f
type Entry = { name: string, at: number, size: number, sum: number }

/** Where the list of contents stands, and for how many. */
function zipEnd(file: Pieces): { at: number, size: number, count: number } {
  const n = Math.min(file.size, 2 ** 16 + 22), tail = Buffer.from(file.read(file.size - n, n))
  const k = tail.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  const cut = `the list that ends a zip is not in its ${file.size} bytes: it is cut off or no zip`
  if (k < 0 || k + 22 > n) throw new Error(`${file.path}: ${cut}`)
  const wide = k >= 20 && tail.readUInt32LE(k - 20) === 0x07064b50
  if (!wide) {
    const [size, at] = [12, 16].map(i => tail.readUInt32LE(k + i))
    return { at, size, count: tail.readUInt16LE(k + 10) }
  }
  const end = Buffer.from(file.read(Number(tail.readBigUInt64LE(k - 12)), 56))
  const [count, size, at] = [32, 40, 48].map(i => Number(end.readBigUInt64LE(i)))
  return { at, size, count }
}

// %% ../nbs/24a_weights.ipynb bfadcfb4
/** The large sizes and places that stand behind a name: size, packed size, place. */
function zip64(extra: Buffer): number[] {
  for (let k = 0; k + 4 <= extra.length; k += 4 + extra.readUInt16LE(k + 2)) {
    if (extra.readUInt16LE(k) !== 1) continue
    const n = Math.min(extra.readUInt16LE(k + 2), extra.length - k - 4) >> 3
    const all = Array.from({ length: n }, (_, i) => Number(extra.readBigUInt64LE(k + 4 + 8 * i)))
    return n > 1 ? [all[0], ...all.slice(2)] : all
  }
  return []
}

// %% ../nbs/24a_weights.ipynb 445db30f
/** An entry of the list at `k`, and where the next one stands. */
function zipEntry(list: Buffer, k: number, path: string): [entry: Entry, next: number] {
  const isSound = k + 46 <= list.length && list.readUInt32LE(k) === 0x02014b50
  if (!isSound) throw new Error(`${path}: its list of contents is damaged at byte ${k}`)
  const [n, extra, comment] = [28, 30, 32].map(i => list.readUInt16LE(k + i)), rest = k + 46 + n
  const name = list.toString('utf8', k + 46, rest), packed = list.readUInt16LE(k + 10)
  if (packed) throw new Error(`${path}: "${name}" is compressed, which PyTorch never does`)
  const wide = zip64(list.subarray(rest, rest + extra))
  const [size, at] = [24, 42].map(i => list.readUInt32LE(k + i))
    .map(o => o === 2 ** 32 - 1 ? wide.shift() ?? o : o)
  return [{ name, at, size, sum: list.readUInt32LE(k + 16) }, rest + extra + comment]
}

// %% ../nbs/24a_weights.ipynb 4e4e8670
function zipEntries(file: Pieces): Map<string, Entry> {
  const { at, size, count } = zipEnd(file), found = new Map<string, Entry>()
  const end = `${file.path}: its list of contents would stand at byte ${at}, beyond its end`
  if (at + size > file.size) throw new Error(end)
  const list = Buffer.from(file.read(at, size))
  for (let i = 0, k = 0; i < count; i++) {
    const [entry, next] = zipEntry(list, k, file.path)
    found.set(entry.name, entry)
    k = next
  }
  return found
}

// %% ../nbs/24a_weights.ipynb 81b63ab7
/** `n` bytes of an entry from `from` on. */
function readEntry(file: Pieces, { name, at, size, sum }: Entry, from = 0, n = size): ArrayBuffer {
  const head = Buffer.from(file.read(at, 30)), [k, extra] = [26, 28].map(i => head.readUInt16LE(i))
  const isSound = head.readUInt32LE(0) === 0x04034b50
  if (!isSound) throw new Error(`${file.path}: "${name}" is damaged at byte ${at}`)
  const bytes = file.read(at + 30 + k + extra + from, n)
  const isRight = n < size || !zlib.crc32 || zlib.crc32(new Uint8Array(bytes)) === sum
  if (isRight) return bytes
  throw new Error(`${file.path}: "${name}" is damaged: its checksum is not the stored one`)
}

// %% ../nbs/24a_weights.ipynb ffff7227
const storageTypes: Record<string, string> = {
  FloatStorage: 'F32', HalfStorage: 'F16', BFloat16Storage: 'BF16', DoubleStorage: 'F64',
  LongStorage: 'I64', IntStorage: 'I32', ByteStorage: 'U8', BoolStorage: 'BOOL'
}

/** A file of numbers in the zip. */
class Storage { constructor(public type: string, public key: string, public count: number) {} }

/** A tensor as the pickle describes it. */
class Described {
  constructor(public storage: Storage, public offset: number,
    public shape: number[], public strides: number[]) {}
}

// %% ../nbs/24a_weights.ipynb 8a49e9a9
const counts = (o: unknown): o is number[] =>
  Array.isArray(o) && o.every(k => Number.isSafeInteger(k) && k >= 0)

/** What `torch._utils._rebuild_tensor_v2` is asked for. */
function describe(storage: unknown, offset: unknown, shape: unknown, strides: unknown): Described {
  const isFine = storage instanceof Storage && counts([offset]) && counts(shape) && counts(strides)
  if (!isFine || shape.length !== strides.length) throw new Error('a tensor is described wrongly')
  return new Described(storage, offset as number, shape, strides)
}

/** What a pointer out of the pickle means: ('storage', its class, its name, …, its length). */
function storageOf(id: unknown): Storage {
  const [word, kind, key, , count] = Array.isArray(id) ? id : [], name = String(kind?.name)
  const type = storageTypes[name.replace(/^torch\./, '')]
  const isFine = word === 'storage' && type && typeof key === 'string' && counts([count])
  if (!isFine) throw new Error(`wanted a storage of numbers, got ${inspect(id).slice(0, 80)}`)
  return new Storage(type, key, count)
}

// %% ../nbs/24a_weights.ipynb 9f78c8f1
class Ordered extends Map<unknown, unknown> { setState(): void {} }

const neverCalled = () => { throw new Error('a class is called that may only be named') }
const torchGlobals = {
  'torch._utils._rebuild_tensor_v2': describe,
  'torch._utils._rebuild_parameter': (tensor: unknown) => tensor,
  'collections.OrderedDict': (pairs: [unknown, unknown][] = []) => new Ordered(pairs),
  'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint': neverCalled,
  ...Object.fromEntries(Object.keys(storageTypes).map(o => [`torch.${o}`, neverCalled]))
}

// %% ../nbs/24a_weights.ipynb ee9f5ef2
/** Whether the numbers lie row by row, with nothing between. */
function inRows({ shape, strides }: Described): boolean {
  const step = (k: number) => shape.slice(k + 1).reduce((a, b) => a * b, 1)
  return shape.every((n, k) => n === 1 || strides[k] === step(k))
}

function gather(from: tf.TypedArray, { shape, strides }: Described): tf.TypedArray {
  const to = from.slice(0, 0).constructor as new (n: number) => tf.TypedArray
  const out = new to(shape.reduce((a, b) => a * b, 1)), last = shape.length - 1
  const walk = (axis: number, at: number, k: number): number => {
    for (let i = 0; i < shape[axis]; i++, at += strides[axis]) {
      if (axis < last) k = walk(axis + 1, at, k)
      else out[k++] = from[at]
    }
    return k
  }
  walk(0, 0, 0)
  return out
}

// %% ../nbs/24a_weights.ipynb 671f848a
/** A tensor of the zip, to be read when it is wanted. */
function storedOf(file: Pieces, entry: Entry, o: Described): Stored {
  const { type, count } = o.storage, { size, dtype, read } = numberTypes[type], { shape } = o
  const isEmpty = shape.includes(0), span = isEmpty ? 0
    : 1 + shape.reduce((sum, n, k) => sum + (n - 1) * o.strides[k], 0)
  const bytes = `${count * size} bytes, has ${entry.size}`
  if (entry.size !== count * size) throw new Error(`"${entry.name}" needs ${bytes}`)
  if (o.offset + span > count) throw new Error(`"${entry.name}" has fewer numbers than are used`)
  return { shape, type, read: () => {
    const numbers = read(readEntry(file, entry, o.offset * size, span * size))
    return tf.tensor(isEmpty || inRows(o) ? numbers : gather(numbers, o), shape, dtype)
  } }
}

// %% ../nbs/24a_weights.ipynb 29068979
/** What is to be read in a zip that PyTorch wrote: its pickle and its storages. */
function openZip(file: Pieces) {
  const entries = zipEntries(file)
  const pickle = [...entries.keys()].find(o => /(^|\/)data\.pkl$/.test(o))
  if (!pickle) throw new Error('it is a zip, but not one of PyTorch: there is no data.pkl in it')
  const folder = pickle.slice(0, -'data.pkl'.length), order = entries.get(`${folder}byteorder`)
  const isBig = order && Buffer.from(readEntry(file, order)).toString() === 'big'
  if (isBig) throw new Error('its numbers are big-endian, which is not read')
  const root = unpickle(new Uint8Array(readEntry(file, entries.get(pickle)!)),
    { globals: torchGlobals, persistentLoad: storageOf })
  return { root, entry: ({ key }: Storage) => entries.get(`${folder}data/${key}`) }
}

// %% ../nbs/24a_weights.ipynb 3191a8f2
function tensorsIn(file: Pieces): Tensors {
  const { root, entry } = openZip(file)
  const inner = root instanceof Map ? root.get('state_dict') ?? root : undefined
  if (!(inner instanceof Map)) throw new Error('there are no weights with names in it')
  const found: [string, Stored][] = []
  for (const [name, o] of inner) {
    if (typeof name !== 'string' || !(o instanceof Described)) continue
    const at = entry(o.storage)
    if (!at) throw new Error(`the numbers of "${name}" are missing, data/${o.storage.key}`)
    found.push([name, storedOf(file, at, o)])
  }
  return Object.fromEntries(found)
}

// %% ../nbs/24a_weights.ipynb 2c767706
/** The tensors of a file that PyTorch's `torch.save` wrote, yet unread; no code in it is run. */
export function openTorch(path: string): Tensors {
  const file = new Pieces(path), start = Buffer.from(file.read(0, Math.min(file.size, 32)))
  try {
    if (start.includes(Buffer.from('8a0a6cfc9c46f9206aa850', 'hex'))) {
      throw new Error('it was written by a PyTorch before 1.6; open and save it in a newer one')
    }
    return tensorsIn(file)
  } catch (e) {
    const { message } = e as Error
    throw message.startsWith(path) ? e : new Error(`${path}: ${message}`, { cause: e })
  }
}

// %% ../nbs/24a_weights.ipynb d9061743
/** At most five names, and how many more there are. */
function listed(names: string[]): string {
  const more = names.length - 5
  return names.slice(0, 5).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

// %% ../nbs/24a_weights.ipynb 02118a50
const oldNames: Record<string, string> =
  { query: 'to_q', key: 'to_k', value: 'to_v', proj_attn: 'to_out.0' }

/** A name as it is written today; undefined for what is no weight. */
function todaysName(name: string): string | undefined {
  if (/(^|\.)position_ids$/.test(name)) return undefined
  const isBare = /^(embeddings|encoder\.layers|final_layer_norm)\./.test(name)
  const full = isBare ? `text_model.${name}` : name
  return full.replace(/(attentions\.\d+\.)(query|key|value|proj_attn)\./,
    (_, place: string, old: string) => `${place}${oldNames[old]}.`)
}

// %% ../nbs/24a_weights.ipynb 6f869bb7
type Rule = [piece: RegExp, by: string | ((...found: string[]) => string)]

const rename = (name: string, rules: Rule[]): string =>
  rules.reduce((o, [piece, by]) => o.replace(piece, by as string), name)

const blockRules: Rule[] = [
  [/\.in_layers\.0\./, '.norm1.'], [/\.in_layers\.2\./, '.conv1.'],
  [/\.emb_layers\.1\./, '.time_emb_proj.'],
  [/\.out_layers\.0\./, '.norm2.'], [/\.out_layers\.3\./, '.conv2.'],
  [/\.(skip_connection|nin_shortcut)\./, '.conv_shortcut.']
]

// %% ../nbs/24a_weights.ipynb d96c9342
/** A rule for blocks in a row, `layers` and one more in each size; `step` ends a size. */
function rowRule(row: RegExp, [blocks, steps]: string[], [layers, start]: number[]): Rule {
  return [row, (_, n, part, step) => {
    const k = Number(n) - start, i = Math.floor(k / (layers + 1)), j = k % (layers + 1)
    const kind = part === '0' ? 'resnets' : 'attentions'
    return `${blocks}.${i}.${step ? `${steps}.0.conv` : `${kind}.${j}`}.`
  }]
}

/** The rules for a U-Net with `layers` residual blocks in each size. */
function unetRules(layers: number): Rule[] {
  const down = ['down_blocks', 'downsamplers'], up = ['up_blocks', 'upsamplers']
  return [
    [/^time_embed\.0\./, 'time_embedding.linear_1.'],
    [/^time_embed\.2\./, 'time_embedding.linear_2.'],
    [/^input_blocks\.0\.0\./, 'conv_in.'],
    [/^out\.0\./, 'conv_norm_out.'], [/^out\.2\./, 'conv_out.'],
    rowRule(/^input_blocks\.(\d+)\.(\d)\.(op\.)?/, down, [layers, 1]),
    rowRule(/^output_blocks\.(\d+)\.(\d)\.(conv\.)?/, up, [layers, 0]),
    [/^middle_block\.1\./, 'mid_block.attentions.0.'],
    [/^middle_block\.([02])\./, (_, k) => `mid_block.resnets.${Number(k) / 2}.`], ...blockRules
  ]
}

// %% ../nbs/24a_weights.ipynb ae04d712
/** The rules for an autoencoder with `n` sizes. */
const vaeRules = (n: number): Rule[] => [
  [/\.norm_out\./, '.conv_norm_out.'], [/\.down\.(\d)\./, '.down_blocks.$1.'],
  [/\.up\.(\d)\./, (_, i) => `.up_blocks.${n - 1 - Number(i)}.`],
  [/\.block\.(\d)\./, '.resnets.$1.'],
  [/\.(down|up)sample\.conv\./, '.$1samplers.0.conv.'],
  [/\.mid\.block_1\./, '.mid_block.resnets.0.'], [/\.mid\.block_2\./, '.mid_block.resnets.1.'],
  [/\.mid\.attn_1\./, '.mid_block.attentions.0.'], [/(attentions\.0)\.norm\./, '$1.group_norm.'],
  [/(attentions\.0)\.([qkv])\./, '$1.to_$2.'], [/(attentions\.0)\.proj_out\./, '$1.to_out.0.'],
  ...blockRules
]

// %% ../nbs/24a_weights.ipynb 056690a3
/** Questions to the names and shapes of a part. */
function asker(tensors: Tensors, what: string) {
  const names = Object.keys(tensors)
  const has = (start: string) => names.some(o => o.startsWith(start))
  const shape = (name: string) => {
    if (Object.hasOwn(tensors, name)) return tensors[name].shape
    throw new Error(`${what}: there is no "${name}"`)
  }
  const count = (start: string) => {
    let n = 0
    while (has(`${start}.${n}.`)) n++
    return n
  }
  return { has, shape, count, at: (name: string, axis = 0) => shape(name)[axis] }
}

// %% ../nbs/24a_weights.ipynb ecad7554
/** What a U-Net's attention says about the text, and about itself. */
function crossFrom(tensors: Tensors): Omit<UNetConfig, 'layersPerBlock'> {
  const keys = Object.keys(tensors).filter(o => o.endsWith('attn2.to_k.weight')), [first] = keys
  if (!first) return {}
  const depths = keys.map(o => 1 + Number(/transformer_blocks\.(\d+)/.exec(o)![1]))
  const way = tensors[first.replace(/transformer_blocks.*/, 'proj_in.weight')]
  return { crossAttentionDim: tensors[first].shape[1],
    transformerLayersPerBlock: Math.max(...depths), useLinearProjection: way?.shape.length === 2 }
}

// %% ../nbs/24a_weights.ipynb f8f41043
/** The configuration of a U-Net with the names of the original. */
function unetFrom(tensors: Tensors, what: string): UNetConfig & { layersPerBlock: number } {
  const { has, at, count } = asker(tensors, what), n = count('input_blocks')
  const op = Array.from({ length: n }, (_, i) => i).find(i => has(`input_blocks.${i}.0.op.`))
  const step = op ?? n, sizes = [...Array(Math.ceil((n - 1) / step)).keys()]
  const inputs = sizes.map(i => `input_blocks.${1 + i * step}`)
  const isCross = (start: string) => has(`${start}.1.transformer_blocks.`)
  return {
    inChannels: at('input_blocks.0.0.weight', 1), outChannels: at('out.2.weight'),
    layersPerBlock: step - 1, blockOutChannels: inputs.map(o => at(`${o}.0.out_layers.3.weight`)),
    downBlockTypes: inputs.map(o => isCross(o) ? 'CrossAttnDownBlock2D' : 'DownBlock2D'),
    upBlockTypes: sizes.map(i =>
      isCross(`output_blocks.${i * step}`) ? 'CrossAttnUpBlock2D' : 'UpBlock2D'),
    ...crossFrom(tensors)
  }
}

// %% ../nbs/24a_weights.ipynb f2403ea3
function vaeFrom(tensors: Tensors, what: string): Json & { sizes: number } {
  const { at, count } = asker(tensors, what), sizes = count('encoder.down')
  const all = [...Array(sizes).keys()]
  return { sizes, layersPerBlock: count('encoder.down.0.block'),
    inChannels: at('encoder.conv_in.weight', 1), outChannels: at('decoder.conv_out.weight'),
    latentChannels: at('decoder.conv_in.weight', 1),
    blockOutChannels: all.map(i => at(`encoder.down.${i}.block.0.conv1.weight`)),
    downBlockTypes: all.map(() => 'DownEncoderBlock2D'),
    upBlockTypes: all.map(() => 'UpDecoderBlock2D'),
    actFn: 'silu', normNumGroups: 32, sampleSize: 64 * 2 ** (sizes - 1), scalingFactor: 0.18215 }
}

// %% ../nbs/24a_weights.ipynb 1c879ae3
function textFrom(tensors: Tensors, what: string): Json {
  const { at, count, shape } = asker(tensors, what), inner = 'text_model.encoder.layers'
  const [vocabSize, hiddenSize] = shape('text_model.embeddings.token_embedding.weight')
  return { vocabSize, hiddenSize, numHiddenLayers: count(inner),
    maxPositionEmbeddings: at('text_model.embeddings.position_embedding.weight'),
    intermediateSize: at(`${inner}.0.mlp.fc1.weight`),
    numAttentionHeads: Math.ceil(hiddenSize / 64),
    hiddenAct: 'quick_gelu', layerNormEps: 1e-5, bosTokenId: 49406, eosTokenId: 49407 }
}

// %% ../nbs/24a_weights.ipynb 94de48a0
const known = 'known is Stable Diffusion 1: a U-Net for latents of 4 channels, '
  + 'the CLIP text model of OpenAI, and an AutoencoderKL'

const stranger = (path: string, found: string) => new Error(`${path} holds ${found}; ${known}`)

// %% ../nbs/24a_weights.ipynb 596f951b
/** Refuses what the shapes or the configurations show to be of another family. */
function checkFamily(path: string, unet: UNetConfig, vae: Json, text: Json): void {
  const { inChannels = 4, crossAttentionDim = 768 } = unet, { latentChannels = 4 } = vae
  const { hiddenSize = 768, hiddenAct } = text, [width] = [crossAttentionDim].flat()
  const wide = `the text model of Stable Diffusion 2, OpenCLIP (${hiddenSize} wide, ${hiddenAct})`
  if (Number(hiddenSize) >= 1024) throw stranger(path, wide)
  if (inChannels === 9) throw stranger(path, 'a U-Net with 9 channels, made for inpainting')
  const latents = `a U-Net for ${inChannels} channels and an autoencoder with ${latentChannels}`
  if (inChannels !== latentChannels) throw stranger(path, latents)
  const texts = `a U-Net that reads a text ${width} wide, and a text model ${hiddenSize} wide`
  if (width !== hiddenSize) throw stranger(path, texts)
}

// %% ../nbs/24a_weights.ipynb e2fc87ac
/** The values that mean the U-Net of notebook 13, for the keys of config.json it does not know. */
const plain: Record<string, unknown[]> = {
  act_fn: ['silu', 'swish'], addition_embed_type: [null], attention_type: ['default'],
  class_embed_type: [null], class_embeddings_concat: [false], cross_attention_norm: [null],
  dual_cross_attention: [false], encoder_hid_dim: [null], encoder_hid_dim_type: [null],
  mid_block_scale_factor: [1], num_attention_heads: [null], resnet_out_scale_factor: [1],
  resnet_skip_time_act: [false], time_cond_proj_dim: [null], time_embedding_act_fn: [null],
  time_embedding_dim: [null], time_embedding_type: ['positional'], timestep_post_act: [null],
  mid_block_only_cross_attention: [null, false], reverse_transformer_layers_per_block: [null]
}

function checkPlain(path: string, config: Json): void {
  for (const [key, values] of Object.entries(plain)) {
    const isPlain = config[key] === undefined || values.includes(config[key])
    if (!isPlain) throw stranger(path, `a U-Net with "${key}" ${inspect(config[key])}`)
  }
}

// %% ../nbs/24a_weights.ipynb eeb154c3
/** A network in a checkpoint: `config` in camelCase, tensors in PyTorch's layout, yet unread. */
export interface Part<C = object> { name: string, path: string, config: C, tensors: Tensors }

/** How a checkpoint is opened: a variant as "fp16", and values that a single file cannot tell. */
export interface OpenOptions {
  variant?: string
  config?: { unet?: UNetConfig, vae?: object, textEncoder?: object, scheduler?: object }
}

// %% ../nbs/24a_weights.ipynb 31a900f8
const size = (o: Stored) => o.shape.reduce((a, b) => a * b, 1)

/** What a part looks like: how many tensors, of which types. */
function lineOf({ name, tensors }: Part): string {
  const all = Object.values(tensors), types = [...new Set(all.map(o => o.type))].join(' and ')
  const numbers = all.reduce((sum, o) => sum + size(o), 0).toLocaleString('en')
  return `${name}: ${numbers} numbers (${types}) in ${all.length} tensors`
}

// %% ../nbs/24a_weights.ipynb 0c27c450
/** A Stable Diffusion on the disk, looked through and yet unread. */
export class Checkpoint {
  unet: Part<UNetConfig>
  vae: Part
  textEncoder: Part
  constructor(public path: string, [unet, vae, textEncoder]: [Part<UNetConfig>, Part, Part],
    public scheduler: Record<string, unknown>, public notes: string[], public tokenizer?: string) {
    this.unet = unet
    this.vae = vae
    this.textEncoder = textEncoder
    checkFamily(path, unet.config, vae.config as Json, textEncoder.config as Json)
  }
  /** Its tokenizer, or where it has none CLIP's own, if that fits the text model. */
  loadTokenizer(): ClipTokenizer {
    const tok = ClipTokenizer.load(this.tokenizer), n = tok.tokens.length
    const { vocabSize = n } = this.textEncoder.config as Json
    if (n === vocabSize) return tok
    throw new Error(`${this.path}: the tokenizer has ${n} tokens and the text model ${vocabSize}`)
  }
  [inspect.custom](): string {
    const { path, unet, vae, textEncoder, scheduler, notes } = this
    const lines = [unet, vae, textEncoder].map(lineOf)
    return [path, ...lines, `scheduler: ${scheduler._class_name}`, ...notes].join('\n  ')
  }
}

// %% ../nbs/24a_weights.ipynb 7f725d12
function checkIndex(path: string): void {
  const index = join(path, 'model_index.json')
  const folder = 'a folder with model_index.json, unet, vae, text_encoder, scheduler, or one file'
  if (!existsSync(index)) throw new Error(`${path}: wanted ${folder}, found no model_index.json`)
  const o = readJson(index)
  const classOf = (name: string) => [o[name]].flat().at(-1) as string | undefined
  const second = classOf('text_encoder_2') ?? classOf('transformer')
  if (second) throw stranger(path, `a ${o._class_name} with a ${second}`)
  for (const [name, wanted] of Object.entries(parts)) {
    const got = classOf(name)
    if (got && got !== wanted) throw stranger(path, `a ${o._class_name} whose ${name} is a ${got}`)
  }
}

// %% ../nbs/24a_weights.ipynb 7832ea77
const openFile = (path: string): Tensors =>
  path.endsWith('.safetensors') ? openTensors(path).tensors : openTorch(path)

/** The best of a part's files; `seen` is told what lies there besides. */
function openBest(path: string, variant: string | undefined, seen: Set<string>): Tensors {
  const files = existsSync(path) ? readdirSync(path) : [], all = ranked(choices(files), variant)
  if (!all.length) {
    const got = files.length ? files.slice(0, 8).join(', ') : 'nothing'
    throw new Error(`${path}: wanted weights as diffusion_pytorch_model.safetensors, found ${got}`)
  }
  for (const o of all) seen.add(o.variant)
  const file = join(path, all[0].file)
  return all[0].isList ? openPieces(file, openFile) : openFile(file)
}

function checkVariant(path: string, variant: string | undefined, seen: Set<string>): void {
  const others = [...seen].map(o => o || 'the plain one').join(', ')
  if (variant === undefined || seen.has(variant)) return
  throw new Error(`${path}: there is no variant "${variant}"; there are ${others}`)
}

// %% ../nbs/24a_weights.ipynb 7ba37f3d
const todays = (tensors: Tensors): Tensors => Object.fromEntries(Object.entries(tensors)
  .flatMap(([name, o]) => [todaysName(name) ?? []].flat().map(today => [today, o])))

// %% ../nbs/24a_weights.ipynb 94501469
function openFolder(path: string, { variant, config = {} }: OpenOptions): Checkpoint {
  checkIndex(path)
  const seen = new Set<string>()
  const part = (name: PartName, own: object = {}): Part => {
    const dir = join(path, name), json = readJson(join(dir, 'config.json'))
    if (name === 'unet') checkPlain(path, json)
    const tensors = todays(openBest(dir, variant, seen))
    return { name, path: dir, config: { ...camelKeys(json), ...own }, tensors }
  }
  const { unet, vae, textEncoder, scheduler } = config
  const three: [Part, Part, Part] =
    [part('unet', unet), part('vae', vae), part('text_encoder', textEncoder)]
  checkVariant(path, variant, seen)
  const plan = { ...readJson(join(path, 'scheduler/scheduler_config.json')), ...scheduler }
  const words = join(path, 'tokenizer'), hasWords = existsSync(words)
  const notes = hasWords ? [] : ['no tokenizer: CLIP\'s own takes its place']
  return new Checkpoint(path, three, plan, notes, hasWords ? words : undefined)
}

// %% ../nbs/24a_weights.ipynb 851ad7ae
const prefixes = {
  unet: 'model.diffusion_model.', vae: 'first_stage_model.', text: 'cond_stage_model.transformer.'
}
const ofTraining = /^(first_stage_model\.)?(model_ema|loss)\./

/** The tensors whose names begin with `prefix`, without it. */
const under = (all: Tensors, prefix: string): Tensors => Object.fromEntries(Object.entries(all)
  .filter(([name]) => name.startsWith(prefix) && !ofTraining.test(name))
  .map(([name, o]) => [name.slice(prefix.length), o]))

// %% ../nbs/24a_weights.ipynb 045ef03a
/** Refuses a file that is no Stable Diffusion 1, and says what it seems to be. */
function checkPrefixes(path: string, all: Tensors): void {
  const names = Object.keys(all), has = (start: string) => names.some(o => o.startsWith(start))
  const telling: [string, string][] = [
    ['conditioner.embedders.', 'Stable Diffusion XL (conditioner.embedders)'],
    ['cond_stage_model.model.', 'the text model of Stable Diffusion 2, OpenCLIP'],
    ['model.diffusion_model.joint_blocks.', 'Stable Diffusion 3 (joint_blocks)'],
    ['model.diffusion_model.label_emb.', 'a U-Net with labels (label_emb)']
  ]
  for (const [start, found] of telling) if (has(start)) throw stranger(path, found)
  const missing = Object.values(prefixes).filter(o => !has(o))
  const some = `${names.length} tensors (${listed(names)}), none ${missing.join(', none ')}`
  if (missing.length) throw stranger(path, some)
}

// %% ../nbs/24a_weights.ipynb ad97e0ae
/** How the first Stable Diffusion was sampled. */
const sdScheduler = {
  _class_name: 'PNDMScheduler', num_train_timesteps: 1000,
  beta_start: 0.00085, beta_end: 0.012, beta_schedule: 'scaled_linear',
  skip_prk_steps: true, set_alpha_to_one: false, steps_offset: 1
}

/** A line on the tensors that are in no part, or none. */
function aside(all: Tensors): string[] {
  const isPart = (name: string) => Object.values(prefixes).some(o => name.startsWith(o))
  const rest = Object.keys(all).filter(name => !isPart(name) || ofTraining.test(name))
  const ema = rest.filter(o => o.startsWith('model_ema.'))
  const others = rest.filter(o => !o.startsWith('model_ema.'))
  return [...ema.length ? [`left aside: ${ema.length} averages (model_ema)`] : [],
    ...others.length ? [`left aside: ${listed(others)}`] : []]
}

// %% ../nbs/24a_weights.ipynb 8cc68ea8
function openSingle(path: string, { config = {} }: OpenOptions): Checkpoint {
  const all = openFile(path)
  checkPrefixes(path, all)
  const [unet, vae, text] = Object.values(prefixes).map(o => under(all, o))
  const renamed = (tensors: Tensors, rules: Rule[]): Tensors =>
    Object.fromEntries(Object.entries(tensors).map(([name, o]) => [rename(name, rules), o]))
  const own = unetFrom(unet, path), { sizes, ...vaeOwn } = vaeFrom(vae, path), texts = todays(text)
  const part = <C extends object>(name: string, o: C, tensors: Tensors): Part<C> =>
    ({ name, path, config: o, tensors })
  const three: [Part, Part, Part] = [
    part('unet', { ...own, ...config.unet }, renamed(unet, unetRules(own.layersPerBlock))),
    part('vae', { ...vaeOwn, ...config.vae }, renamed(vae, vaeRules(sizes))),
    part('text_encoder', { ...textFrom(texts, path), ...config.textEncoder }, texts)]
  return new Checkpoint(path, three, { ...sdScheduler, ...config.scheduler },
    aside(all))
}

// %% ../nbs/24a_weights.ipynb 089a3dd2
/** Look through a Stable Diffusion: a folder of diffusers, or one file (.safetensors or .ckpt). */
export function openCheckpoint(path: string, options: OpenOptions = {}): Checkpoint {
  if (!existsSync(path)) throw new Error(`openCheckpoint: there is nothing at ${path}`)
  return statSync(path).isDirectory() ? openFolder(path, options) : openSingle(path, options)
}

// %% ../nbs/24a_weights.ipynb 6c2f21b5
class Hollow extends tf.KernelBackend {
  private holders = new WeakMap<object, number>()
  /** A place for numbers that never come. */
  place(): object {
    const id = {}
    this.holders.set(id, 1)
    return id
  }
  write(): object { return this.place() }
  move(id: object, _: unknown, _shape: number[], _type: string, count: number): void {
    this.holders.set(id, count)
  }
  refCount(id: object): number { return this.holders.get(id) ?? 0 }
  incRef(id: object): void { this.holders.set(id, this.refCount(id) + 1) }
  disposeData(id: object, force = false): boolean {
    this.holders.set(id, this.refCount(id) - 1)
    return force || this.refCount(id) <= 0
  }
  readSync(): never { throw new Error('this network has no numbers yet: loadInto gives them') }
  async read(): Promise<never> { return this.readSync() }
  numDataIds(): number { return 0 }
  floatPrecision(): 32 { return 32 }
  epsilon(): number { return 1e-7 }
}

// %% ../nbs/24a_weights.ipynb 8b2c10f6
type Shaped = { inputs: Record<string, tf.TensorInfo>, attrs: Record<string, unknown> }
const wide = ({ inputs: { a, b } }: Shaped) =>
  tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape)
const shapeRules: Record<string, (o: Shaped) => number[]> = {
  Fill: ({ attrs }) => attrs.shape as number[], Identity: ({ inputs: { x } }) => x.shape,
  Multiply: wide, Add: wide, Sub: wide, RealDiv: wide
}

function registerHollow(): void {
  tf.registerBackend('hollow', () => new Hollow(), 0)
  for (const [kernelName, shapeOf] of Object.entries(shapeRules)) {
    const kernelFunc = ({ backend, ...rest }: { backend: unknown }): tf.TensorInfo =>
      ({ dataId: (backend as Hollow).place(), shape: shapeOf(rest as Shaped), dtype: 'float32' })
    tf.registerKernel({ kernelName, backendName: 'hollow', kernelFunc })
  }
}

// %% ../nbs/24a_weights.ipynb b37eca82
/** What `make` makes, but without numbers, for `loadInto` to fill: `hollow(() => new UNet(c))`. */
export function hollow<M>(make: () => M): M {
  const usual = tf.getBackend()
  if (!usual) throw new Error('hollow: no backend is in use yet, call useBackend before')
  if (!tf.findBackendFactory('hollow')) registerHollow()
  void tf.setBackend('hollow') // nothing is waited for: it is there
  try { return make() } finally { void tf.setBackend(usual) }
}

// %% ../nbs/24a_weights.ipynb 117386a1
/** A shape of PyTorch's as `fromTorch` turns it, found by trying it on a small tensor. */
function turnedShape(name: string, shape: number[]): number[] {
  const small = shape.map((_, i) => i + 1)
  return tf.tidy(() => fromTorch(name, tf.zeros(small)).shape).map(k => shape[k - 1])
}

/** How the stored numbers are to be read so that they become `wanted`; undefined if they do not. */
function readAs(name: string, shape: number[], wanted: number[]): number[] | undefined {
  const isPoint = shape.length === 4 && shape[2] === 1 && shape[3] === 1
  const others = isPoint ? [shape.slice(0, 2)] : shape.length === 2 ? [[...shape, 1, 1]] : []
  return [shape, ...others].find(o => `${turnedShape(name, o)}` === `${wanted}`)
}

// %% ../nbs/24a_weights.ipynb 92fe19b1
/** What does not fit between a network's variables and a part's tensors, in one sentence or ''. */
function misfits(state: Params, { tensors }: Part): string {
  const has = (o: object) => (name: string) => Object.hasOwn(o, name), names = Object.keys(state)
  const missing = names.filter(name => !has(tensors)(name))
  const unknown = Object.keys(tensors).filter(name => !has(state)(name))
  const odd = names.filter(has(tensors)).flatMap(name => {
    const { shape } = tensors[name], wanted = state[name].shape
    return readAs(name, shape, wanted) ? [] : [`${name} [${shape}] for [${wanted}]`]
  })
  const all = { missing, unknown, 'of another shape': odd }
  return Object.entries(all).filter(([, o]) => o.length)
    .map(([what, o]) => `${o.length} ${what}: ${listed(o)}`).join('; ')
}

// %% ../nbs/24a_weights.ipynb 4dbcab73
/** Give a network the weights of a part. All names and shapes must fit, or nothing is changed. */
export function loadInto(model: Module, part: Part): void {
  const state = model.state(), wrong = misfits(state, part)
  if (wrong) throw new Error(`${part.path}: the weights of ${part.name} do not fit: ${wrong}`)
  for (const [name, v] of Object.entries(state)) tf.tidy(() => {
    const stored = part.tensors[name], shape = readAs(name, stored.shape, v.shape)!
    v.assign(fromTorch(name, tf.reshape(tf.cast(stored.read(), 'float32'), shape)) as tf.Variable)
  })
}
