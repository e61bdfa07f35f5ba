// Do not edit: made by "npm run export" from ../nbs/10_convnet.ipynb (6924a9463497)
// A small window that slides over a picture, and networks made of it: from six plain loops to a ResNet that reads all but a few dozen of ten thousand unseen digits.

import { join } from 'path'
import { inspect } from 'util'
import { BatchNorm, Hook, inUse } from './activations'
import { tf } from './engine'
import { loadMnist } from './files'
import type { Digits } from './files'
import { jit } from './jit'
import { Learner, SchedCB, oneCycle } from './learner'
import type { Callback } from './learner'
import { rand, randn } from './random'
import { loadModel } from './safetensors'
import { Adam, Batch, DataLoader, DataLoaders, Dataset, Linear, Module, Source,
  crossEntropy } from './training'

// %% ../nbs/10_convnet.ipynb 513faed8
/** MNIST as published, 60,000 digits and 10,000: pixels x [n, 28, 28, 1], 0 … 1, labels y [n]. */
export async function loadDigits(): Promise<{ train: Dataset, test: Dataset }> {
  const { train, valid, test } = await loadMnist()
  const join = (sets: Digits[]) => {
    const xs = sets.map(o => tf.tensor(o.x.data as Float32Array, [o.x.shape[0], 28, 28, 1]))
    const ys = sets.map(o => tf.tensor(o.y.data as Int32Array))
    const all = [tf.concat(xs), tf.concat(ys)]
    tf.dispose([xs, ys])
    try { return new Dataset(all[0], all[1]) } finally { tf.dispose(all) }
  }
  return { train: join([train, valid]), test: join([test]) }
}

// %% ../nbs/10_convnet.ipynb ca08101e
/** How a convolution is made: windows of ks × ks, every `stride` places, with a bias or without. */
export type ConvOptions = { ks?: number, stride?: number, bias?: boolean }

// %% ../nbs/10_convnet.ipynb 95b88898
/** x [n, h, w, ni] with ks >> 1 zeros around it to [n, ⌈h / stride⌉, ⌈w / stride⌉, nf]. */
export class Conv extends Module {
  weight: tf.Variable
  bias: tf.Variable | null
  constructor(public ni: number, public nf: number, public options: ConvOptions = {}) {
    super()
    const { ks = 3, bias = true } = options, sd = Math.sqrt(2 / (ks * ks * ni))
    if (ks % 2 !== 1) throw new RangeError(`Conv: wanted an odd ks, got ${ks}`)
    this.weight = tf.tidy(() => tf.variable(tf.mul(randn([ks, ks, ni, nf]), sd)))
    this.bias = bias ? tf.tidy(() => tf.variable(tf.zeros([nf]))) : null
  }
  forward(x: tf.Tensor): tf.Tensor {
    const { ks = 3, stride = 1 } = this.options, isRight = x.rank === 4 && x.shape[3] === this.ni
    if (!isRight) throw new RangeError(`Conv: wanted [n, h, w, ${this.ni}], got [${x.shape}]`)
    const w = this.weight as tf.Tensor as tf.Tensor4D, pad = stride > 1 ? ks >> 1 : 'same'
    const o = tf.conv2d(x as tf.Tensor4D, w, stride, pad)
    return this.bias ? tf.add(o, this.bias) : o
  }
  get text(): string { return ` ${this.options.ks ?? 3}² ${this.ni} → ${this.nf}` }
}

// %% ../nbs/10_convnet.ipynb 3d2d372c
const perFeature = (x: tf.Tensor) => tf.sum(x, [0, 1, 2])
type Parts = { scale: tf.Tensor, mean: tf.Tensor, r: tf.Tensor }

/** The gradients for x [n, h, w, c], scale [c] and shift [c]. */
function normGrads(dy: tf.Tensor, x: tf.Tensor, { scale, mean, r }: Parts): tf.Tensor[] {
  const n = x.size / mean.size, s = perFeature(dy), a = tf.mul(r, scale)
  const sx = tf.mul(tf.sub(perFeature(tf.mul(dy, x)), tf.mul(mean, s)), r) // Σ dy·x̂, [c]
  const q = tf.div(tf.mul(tf.mul(a, r), sx), n)
  const rest = tf.sub(tf.mul(q, mean), tf.div(tf.mul(a, s), n))
  return [tf.add(tf.sub(tf.mul(dy, a), tf.mul(x, q)), rest), sx, s]
}

// %% ../nbs/10_convnet.ipynb 0371d958
const affine = (x: tf.Tensor, { scale, mean, r }: Parts, shift: tf.Tensor) =>
  tf.add(tf.mul(x, tf.mul(r, scale)), tf.sub(shift, tf.mul(mean, tf.mul(r, scale))))

/** Where mean and r come from x itself: their part of the gradient is in `normGrads`. */
const batchNorm = (x: tf.Tensor, { scale, mean, r }: Parts, shift: tf.Tensor) =>
  tf.customGrad((...args) => {
    const [x, scale, shift] = args as tf.Tensor[], save = args[3] as tf.GradSaveFunc
    save([x, scale, mean, r])
    const gradFunc = (dy: tf.Tensor, [x, scale, mean, r]: tf.Tensor[]) =>
      normGrads(dy, x, { scale, mean, r })
    return { value: affine(x, { scale, mean, r }, shift), gradFunc }
  })(x, scale, shift)

// %% ../nbs/10_convnet.ipynb 405af54b
/** `BatchNorm` of pictures x [n, h, w, nf] in fewer passes: the same numbers and gradients. */
export class FusedNorm extends BatchNorm {
  private by(mean: tf.Tensor, variance: tf.Tensor): Parts {
    return { scale: this.weight, mean, r: tf.rsqrt(tf.add(variance, this.eps)) }
  }
  forward(x: tf.Tensor): tf.Tensor {
    const { nf } = this, isRight = x.rank === 4 && x.shape[3] === nf
    if (!isRight) throw new RangeError(`FusedNorm: wanted [n, h, w, ${nf}], got [${x.shape}]`)
    if (!this.training) return affine(x, this.by(this.running_mean, this.running_var), this.bias)
    const n = x.size / nf, mean = tf.div(perFeature(x), n)
    const variance = tf.relu(tf.sub(tf.div(perFeature(tf.square(x)), n), tf.square(mean)))
    this.track(mean, variance, n)
    return batchNorm(x, this.by(mean, variance), this.bias)
  }
}

// %% ../nbs/10_convnet.ipynb 660e1802
/** relu(norm(conv(x))): x [n, h, w, ni] to [n, h / stride, w / stride, nf]. */
export class ConvBlock extends Module {
  conv: Conv
  norm: FusedNorm
  constructor(ni: number, nf: number, options: ConvOptions = {}) {
    super()
    this.conv = new Conv(ni, nf, { ...options, bias: false })
    this.norm = new FusedNorm(nf)
  }
  forward(x: tf.Tensor): tf.Tensor { return tf.relu(this.norm.call(this.conv.call(x))) }
}

// %% ../nbs/10_convnet.ipynb a0d84129
/** What a classifier is for: pictures [size, size, ni] of n classes. */
export type Pictures = { ni?: number, n?: number, size?: number }

/** Pixels [n, size, size, ni], 0 … 1, by `body` to nf features, by `head` to n classes. */
export class Classifier extends Module {
  head: Linear
  constructor(public body: Module[], public nf: number, public wants: Pictures = {}) {
    super()
    this.head = new Linear(nf, wants.n ?? 10)
  }
  /** What the head decides by: the means [n, nf] of the body's outputs. */
  features(x: tf.Tensor): tf.Tensor2D {
    const { size = 28, ni = 1 } = this.wants, want = `${size}, ${size}, ${ni}`
    const isRight = x.rank === 4 && x.shape.slice(1).join(', ') === want
    if (!isRight) throw new RangeError(`Classifier: wanted [n, ${want}], got [${x.shape}]`)
    return tf.mean(this.body.reduce((x, layer) => layer.call(x), x), [1, 2]) as tf.Tensor2D
  }
  forward(x: tf.Tensor): tf.Tensor { return this.head.call(this.features(x)) }
}

// %% ../nbs/10_convnet.ipynb e56e714b
function wantFeatures(who: string, nfs: number[]): void {
  const isRight = nfs.length > 0 && nfs.every(nf => Number.isInteger(nf) && nf > 0)
  const wanted = 'wanted numbers of features ≥ 1, at least one'
  if (!isRight) throw new RangeError(`${who}: ${wanted}, got [${nfs}]`)
}

// %% ../nbs/10_convnet.ipynb d3583fb8
/** Convolutions to nfs[i] features, every other one with stride 2, the first one 5×5. */
export function plainnet(nfs = [32, 32, 64, 64, 128], pictures: Pictures = {}): Classifier {
  wantFeatures('plainnet', nfs)
  const block = (nf: number, i: number) =>
    new ConvBlock(i ? nfs[i - 1] : pictures.ni ?? 1, nf, { ks: i ? 3 : 5, stride: i % 2 ? 1 : 2 })
  return new Classifier(nfs.map(block), nfs.at(-1)!, pictures)
}

// %% ../nbs/10_convnet.ipynb 67d60627
/** A layer's output for one picture, its parameters, its millions of operations on numbers. */
export type Cost = { layer: string, out: number[], params: number, mflops: number }

// %% ../nbs/10_convnet.ipynb 210dedb9
const ownSize = (o: object) =>
  Object.values(o).reduce((n, v) => n + (v instanceof tf.Variable && v.trainable ? v.size : 0), 0)

function table(costs: Cost[]): string {
  const sum = (key: 'params' | 'mflops') => costs.reduce((n, o) => n + o[key], 0)
  const all = [...costs, { layer: 'all', out: [], params: sum('params'), mflops: sum('mflops') }]
  const row = (layer: string, out: string, params: string, mflops: string) =>
    layer.padEnd(20) + out.padEnd(11) + params.padStart(9) + mflops.padStart(8)
  const rows = all.map(o =>
    row(o.layer, o.out.join('×'), o.params.toLocaleString('en'), o.mflops.toFixed(2)))
  return [row('layer', 'output', 'params', 'MFLOP'), ...rows].join('\n')
}

// %% ../nbs/10_convnet.ipynb a7a0e690
/** What each layer with parameters costs for pictures like x [n, h, w, c]; printed as a table. */
export function summary(model: Module, x: tf.Tensor): Cost[] {
  const costs: Cost[] = [], layers = [...model.modules()].filter(ownSize)
  const hooks = layers.map(o => new Hook(o, (out, layer) => {
    const w = (layer as Linear).weight, each = w.size / w.shape.at(-1)! // products for one number
    costs.push({ layer: layer.constructor.name + layer.text, out: out.shape.slice(1),
      params: ownSize(layer), mflops: 2 * each * out.size / x.shape[0] / 1e6 })
  }))
  try { inUse(model, () => tf.tidy(() => void model.call(x))) } finally {
    for (const o of hooks) o.remove()
  }
  return Object.defineProperty(costs, inspect.custom, { value: () => table(costs) })
}

// %% ../nbs/10_convnet.ipynb a87aebd9
/** relu(f(x) + x), f two convolutions (He et al., 2015): ni to nf features, h / stride. */
export class ResBlock extends Module {
  first: ConvBlock
  conv: Conv
  norm: FusedNorm
  skip: Conv | null
  constructor(ni: number, nf: number, public stride = 1) {
    super()
    this.first = new ConvBlock(ni, nf, { stride })
    this.conv = new Conv(nf, nf, { bias: false })
    this.norm = new FusedNorm(nf)
    this.skip = ni === nf ? null : new Conv(ni, nf, { ks: 1, bias: false })
  }
  forward(x: tf.Tensor): tf.Tensor {
    const { first, conv, norm, stride, skip } = this, f = norm.call(conv.call(first.call(x)))
    const o = stride > 1 ? tf.avgPool(x as tf.Tensor4D, stride, stride, 'same') : x
    return tf.relu(tf.add(f, skip ? skip.call(o) : o))
  }
}

// %% ../nbs/10_convnet.ipynb 7ca3ce12
/** A 5×5 convolution of stride 2, then ResBlocks to nfs[i] features, all but the first halving. */
export function resnet(nfs = [16, 64, 128], pictures: Pictures = {}): Classifier {
  wantFeatures('resnet', nfs)
  const blocks = nfs.map((nf, i) => new ResBlock(nfs[Math.max(0, i - 1)], nf, i ? 2 : 1))
  const stem = new ConvBlock(pictures.ni ?? 1, nfs[0], { ks: 5, stride: 2 })
  return new Classifier([stem, ...blocks], nfs.at(-1)!, pictures)
}

// %% ../nbs/10_convnet.ipynb 9a34a8e7
/** How a picture is moved: right and down by pixels, turned clockwise by degrees, made larger. */
export type Move = { right?: number, down?: number, turn?: number, scale?: number }

// %% ../nbs/10_convnet.ipynb f115ab9c
type Plane = { xs: Float32Array, at: number, h: number, w: number }

/** Where pixel (0, 0) comes from, and how far a step to the right goes there: (a, −b). */
function origin({ right = 0, down = 0, turn = 0, scale = 1 }: Move, { h, w }: Plane) {
  const a = Math.cos(turn * Math.PI / 180) / scale, b = Math.sin(turn * Math.PI / 180) / scale
  const [cx, cy] = [(w - 1) / 2, (h - 1) / 2], [x, y] = [cx + right, cy + down]
  return { a, b, x0: cx - a * x - b * y, y0: cy + b * x - a * y }
}

// %% ../nbs/10_convnet.ipynb 0b1d01d7
const pixel = ({ xs, at, h, w }: Plane, x: number, y: number) =>
  x >= 0 && y >= 0 && x < w && y < h ? xs[at + y * w + x] : 0

/** The pixel of `from` at (x, y), somewhere between four of them; 0 outside. */
function between(from: Plane, x: number, y: number): number {
  const l = Math.floor(x), t = Math.floor(y), p = x - l, q = y - t, { xs, at, h, w } = from
  const k = at + t * w + l, isInside = l >= 0 && t >= 0 && l + 1 < w && t + 1 < h
  if (isInside) return (1 - q) * ((1 - p) * xs[k] + p * xs[k + 1])
    + q * ((1 - p) * xs[k + w] + p * xs[k + w + 1])
  return (1 - q) * ((1 - p) * pixel(from, l, t) + p * pixel(from, l + 1, t))
    + q * ((1 - p) * pixel(from, l, t + 1) + p * pixel(from, l + 1, t + 1))
}

// %% ../nbs/10_convnet.ipynb 3522e89d
/** Pictures x [n, h, w, 1], each moved by its own of the n `moves`; outside of them is 0. */
export function moved(x: tf.Tensor, moves: Move[]): tf.Tensor4D {
  const [n, h, w, c] = x.shape as [number, number, number, number]
  const isRight = x.rank === 4 && c === 1 && moves.length === n
  if (!isRight) throw new RangeError(
    `moved: wanted [${moves.length}, h, w, 1] for ${moves.length} moves, got [${x.shape}]`)
  const xs = x.dataSync() as Float32Array, out = new Float32Array(xs.length)
  moves.forEach((move, i) => {
    const from = { xs, at: i * h * w, h, w }, { a, b, x0, y0 } = origin(move, from)
    for (let y = 0, k = from.at; y < h; y++) for (let x = 0; x < w; x++, k++) {
      out[k] = between(from, x0 + a * x + b * y, y0 - b * x + a * y)
    }
  })
  return tf.tensor4d(out, [n, h, w, c])
}

// %% ../nbs/10_convnet.ipynb c632f076
/** The most that `jitter` does: shift, erased sides in pixels, turn in degrees, scale a share. */
export type Jitter = { shift?: number, turn?: number, scale?: number, erase?: number }

// %% ../nbs/10_convnet.ipynb 2438e48e
function eraseOne(xs: Float32Array, at: number, [h, w]: number[], most: number): void {
  const [a, b] = [rand(), rand()].map(r => Math.floor(r * (most + 1)))
  const t = Math.floor(rand() * (h - a + 1)), l = Math.floor(rand() * (w - b + 1))
  for (let y = t; y < t + a; y++) xs.fill(0, at + y * w + l, at + y * w + l + b)
}

// %% ../nbs/10_convnet.ipynb 3d1c9eb2
/** Pictures x [n, h, w, 1], each changed a little in its own way, drawn with `rand`. */
export function jitter(x: tf.Tensor, options: Jitter = {}): tf.Tensor4D {
  const { shift = 2, turn = 10, scale = 0.1, erase = 0 } = options
  const some = (most: number) => (2 * rand() - 1) * most
  const move = () => ({ right: some(shift), down: some(shift), turn: some(turn),
    scale: Math.exp(some(scale)) })
  const o = moved(x, Array.from({ length: x.shape[0] }, move))
  if (!erase) return o
  const [n, h, w] = o.shape, xs = o.dataSync() as Float32Array
  for (let i = 0; i < n; i++) eraseOne(xs, i * h * w, [h, w], erase)
  o.dispose()
  return tf.tensor4d(xs, [n, h, w, 1])
}

// %% ../nbs/10_convnet.ipynb 546cf2d0
/** `ds` with the pictures of each batch changed by `change`. */
export class Changed implements Source {
  constructor(public ds: Dataset, private change: (x: tf.Tensor) => tf.Tensor) {}
  get length(): number { return this.ds.length }
  batch(ix: ArrayLike<number>): Batch {
    const [x, y] = this.ds.batch(ix), o = this.change(x)
    if (o !== x) x.dispose()
    return [o, y]
  }
  at(i: number): Batch {
    const [x, y] = this.batch([i]), item = [tf.squeeze(x, [0]), tf.squeeze(y, [0])]
    tf.dispose([x, y])
    return item as Batch
  }
}

// %% ../nbs/10_convnet.ipynb 9c926731
/** Cross-entropy, the share eps of each target spread over all classes: preds [n, c], targ [n]. */
export const smoothed = (eps = 0.1) => (preds: tf.Tensor, targ: tf.Tensor): tf.Scalar => {
  const right = crossEntropy(preds, targ), any = tf.neg(tf.mean(tf.logSoftmax(preds)))
  return tf.add(tf.mul(right, 1 - eps), tf.mul(any, eps)) as tf.Scalar
}

// %% ../nbs/10_convnet.ipynb 9f30097d
/** What `digitLearner` may be given beside model and pictures. */
export type Beside = { valid?: Dataset, cbs?: Callback[] }

/** A Learner with the recipe of notebook 10, for pictures [n, h, w, 1]. */
export function digitLearner(model: Module, train: Dataset, { valid = train, cbs = [] }: Beside = {}) {
  const source = new Changed(train, x => jitter(x))
  const loader = new DataLoader(source, { bs: 128, shuffle: true, dropLast: true })
  const dls = new DataLoaders(loader, new DataLoader(valid, { bs: 500 }))
  const options = { lossFunc: smoothed(), opt: Adam, lr: 5e-3, wd: 0.05 }
  return new Learner(model, dls, { ...options, cbs: [new SchedCB(oneCycle()), ...cbs] })
}

// %% ../nbs/10_convnet.ipynb 54271ab4
/** The five ways in which `tta` looks at a picture: as it is, and by a pixel to each side. */
export const looks: Move[] = [{}, { right: 1 }, { right: -1 }, { down: 1 }, { down: -1 }]

// %% ../nbs/10_convnet.ipynb 5787dc52
/** Probabilities [n, c] for pictures x [n, h, w, 1], the mean over `moves` of what `model` says. */
export function tta(model: Module, x: tf.Tensor, moves = looks): tf.Tensor2D {
  const [n, ...size] = x.shape, isRight = x.rank === 4 && n > 0 && size[2] === 1
  if (!isRight) throw new RangeError(`tta: wanted [n, h, w, 1] with n ≥ 1, got [${x.shape}]`)
  if (!moves.length) throw new RangeError('tta: wanted at least one move, got none')
  const see = jit((x: tf.Tensor) => tf.softmax(model.call(x))), parts: tf.Tensor[] = []
  const part = (from: number) => tf.tidy(() => {
    const k = Math.min(500, n - from), o = tf.slice(x, [from, 0, 0, 0], [k, ...size])
    return tf.mean(tf.stack(moves.map(move => see(moved(o, Array(k).fill(move))))), 0)
  })
  try {
    inUse(model, () => { for (let i = 0; i < n; i += 500) parts.push(part(i)) })
    return tf.concat(parts) as tf.Tensor2D
  } finally {
    tf.dispose(parts)
    see.dispose()
  }
}

// %% ../nbs/10_convnet.ipynb 33f68c30
/** A trained network of `nbs/models`: 'digits', the ResNet, or 'judge', a plain one. */
export function loadClassifier(name: 'digits' | 'judge' = 'digits'): Classifier {
  const makers = { digits: resnet, judge: plainnet }, wanted = 'wanted "digits" or "judge"'
  if (!Object.hasOwn(makers, name)) throw new Error(`loadClassifier: ${wanted}, got "${name}"`)
  const model = makers[name]()
  loadModel(join(__dirname, '..', 'nbs', 'models', `${name}.safetensors`), model)
  return model.train(false)
}
