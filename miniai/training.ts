// Do not edit: made by "npm run export" from ../nbs/07_training.ipynb (b33530121367)
// Everything between a gradient and a network that reads digits: a loss for choices, layers that know their parameters, four optimizers, shuffled batches, and the loop.

import { inspect } from 'util'
import { tf } from './engine'
import { chunks } from './iterators'
import { progress } from './plots'
import { getState, rand, seed, setState } from './random'
import { at, mnistTensors } from './tensors'

// %% ../nbs/07_training.ipynb aedc091b
/** Whether notebooks train at full size: `MINIAI_FULL=1`, as `npm run train` sets it. */
export const full = process.env.MINIAI_FULL === '1'

// %% ../nbs/07_training.ipynb aaf16243
/** −mean log softmax(preds)[targ]: preds [n, c], whole targ [n]; one outside 0 … c − 1: NaN. */
export function crossEntropy(preds: tf.Tensor, targ: tf.Tensor): tf.Scalar {
  const [n, c] = preds.shape
  const ok = preds.rank === 2 && targ.rank === 1 && targ.shape[0] === n
  if (!ok) throw new RangeError(
    `crossEntropy: wanted [n, c] and [n], got [${preds.shape}] and [${targ.shape}]`)
  const right = tf.oneHot(tf.cast(targ, 'int32'), c), count = tf.sum(right, -1)
  const logs = tf.sum(tf.mul(tf.logSoftmax(preds), right), -1)
  return tf.neg(tf.mean(tf.div(logs, count))) as tf.Scalar
}

// %% ../nbs/07_training.ipynb adddea91
/** The share of rows of preds [n, c] whose largest number stands at targ [n]. */
export function accuracy(preds: tf.Tensor, targ: tf.Tensor): tf.Scalar {
  const ok = preds.rank === targ.rank + 1 && targ.shape.every((n, i) => n === preds.shape[i])
  if (!ok) throw new RangeError(
    `accuracy: wanted [n, c] and [n], got [${preds.shape}] and [${targ.shape}]`)
  const right = tf.equal(tf.argMax(preds, -1), tf.cast(targ, 'int32'))
  return tf.mean(tf.cast(right, 'float32')) as tf.Scalar
}

// %% ../nbs/07_training.ipynb c3e9ad73
/** Variables by the way to them, as in `encoder.layers.3.bias`. */
export type Params = Record<string, tf.Variable>

// %% ../nbs/07_training.ipynb 06b69ec4
type Shown = { text: string, params(): Params, modules(): Iterable<Shown> }

/** The lines that a model prints: itself, and at most five of the layers in it. */
function face(model: Shown): string {
  const [own, ...inner] = [...model.modules()].map(o => `${o.constructor.name}${o.text}`)
  const count = Object.values(model.params()).reduce((n, v) => n + v.size, 0)
  const shown = inner.length > 5 ? [...inner.slice(0, 4), `… ${inner.length - 4} more`] : inner
  const head = `${own}: ${count.toLocaleString('en')} parameters`
  return [head, ...shown.map(o => `  ${o}`)].join('\n')
}

// %% ../nbs/07_training.ipynb 3e6a91c4
/** A source of random numbers has such a state: it is stored, not learned. */
const hasState = (o: unknown): o is { state: tf.Variable } =>
  typeof o === 'object' && o !== null && 'state' in o && o.state instanceof tf.Variable

// %% ../nbs/07_training.ipynb c8a68ecc
/** A layer or model: `forward` says what it does, its fields hold variables and other modules. */
export abstract class Module {
  training = true
  /** Called after each `call` with (output, this layer); notebook 09 looks inside with them. */
  hooks: ((out: tf.Tensor, layer: Module) => void)[] = []
  abstract forward(...xs: tf.Tensor[]): tf.Tensor
  /** `forward`, then the hooks. */
  call(...xs: tf.Tensor[]): tf.Tensor {
    const out = this.forward(...xs)
    for (const hook of this.hooks) hook(out, this)
    return out
  }

  /** What is searched for variables, modules and lists of modules. */
  fields(): object { return this }
  private parts(): [string, unknown][] {
    return Object.entries(this.fields()).flatMap(([name, o]): [string, unknown][] =>
      Array.isArray(o) ? o.map((x, i) => [`${name}.${i}`, x]) : [[name, o]])
  }
  /** This module and all inside it. */
  *modules(): Generator<Module> {
    yield this
    for (const [, o] of this.parts()) if (o instanceof Module) yield* o.modules()
  }
  private *variables(prefix = ''): Generator<[string, tf.Variable]> {
    for (const [name, o] of this.parts()) {
      if (o instanceof tf.Variable) yield [prefix + name, o]
      else if (o instanceof Module) yield* o.variables(`${prefix}${name}.`)
      else if (hasState(o)) yield [prefix + name, o.state]
    }
  }
  /** All variables, as they are stored. */
  state(): Params { return Object.fromEntries(this.variables()) }
  /** The variables that are learned, each once. */
  params(): Params {
    const seen = new Set<tf.Variable>()
    const isNew = (v: tf.Variable) => !seen.has(v) && seen.add(v)
    return Object.fromEntries([...this.variables()].filter(([, v]) => v.trainable && isNew(v)))
  }
  /** Switch to training, or to use. */
  train(training = true): this {
    for (const m of this.modules()) m.training = training
    return this
  }
  dispose(): void { for (const v of Object.values(this.state())) v.dispose() }
  /** What stands behind a layer's name where it is printed. */
  get text(): string { return '' }
  /** The layers with their shapes, and the number of parameters. */
  [inspect.custom](): string { return face(this) }
}

// %% ../nbs/07_training.ipynb 15d60007
/** x w + b: weight [ni, nf], bias [nf]. */
export class Linear extends Module {
  weight: tf.Variable
  bias: tf.Variable | null
  constructor(public ni: number, public nf: number, { bias = true } = {}) {
    super()
    const spread = (shape: number[]) =>
      tf.tidy(() => tf.variable(tf.mul(tf.sub(tf.mul(rand(shape), 2), 1), 1 / Math.sqrt(ni))))
    this.weight = spread([ni, nf])
    this.bias = bias ? spread([nf]) : null
  }
  forward(x: tf.Tensor): tf.Tensor {
    const width = x.shape.at(-1)
    if (width !== this.ni) throw new Error(`Linear: expected [..., ${this.ni}], got [${x.shape}]`)
    const o = tf.matMul(x, this.weight as tf.Tensor)
    return this.bias ? tf.add(o, this.bias) : o
  }
  get text(): string { return ` ${this.ni} → ${this.nf}` }
}

// %% ../nbs/07_training.ipynb e5c7e9e8
/** max(x, 0) */
export class Relu extends Module {
  forward(x: tf.Tensor): tf.Tensor { return tf.relu(x) }
}

// %% ../nbs/07_training.ipynb ff4745bf
/** One layer after the other. */
export class Sequential extends Module {
  layers: Module[]
  constructor(...layers: Module[]) {
    super()
    this.layers = layers
  }
  fields(): object { return this.layers }
  forward(x: tf.Tensor): tf.Tensor { return this.layers.reduce((x, layer) => layer.call(x), x) }
}

// %% ../nbs/07_training.ipynb d050bad0
/** The value of f() and its gradients, under the names in `params`. */
export function lossAndGrads(f: () => tf.Tensor, params: Params) {
  const entries = Object.entries(params)
  const { value, grads } = tf.variableGrads(() => f() as tf.Scalar, entries.map(([, v]) => v))
  const named = entries.filter(([, v]) => grads[v.name]).map(([name, v]) => [name, grads[v.name]])
  return { loss: value, grads: Object.fromEntries(named) as Record<string, tf.Tensor> }
}

// %% ../nbs/07_training.ipynb ca655da5
/** Changes parameters by their gradients; subclasses say how. `state` is kept with a checkpoint. */
export abstract class Optimizer {
  state: Params = {}
  lr: number
  wd: number
  constructor(public params: Params, { lr, wd = 0 }: { lr: number, wd?: number }) {
    const odd = Object.entries({ lr, wd }).find(([, x]) => !Number.isFinite(x) || x < 0)
    if (odd) throw new RangeError(`${this.constructor.name}: wanted ${odd[0]} ≥ 0, got ${odd[1]}`)
    this.lr = lr
    this.wd = wd
  }
  /** The way to go from parameter `name` with gradient `g`; times lr it is subtracted. */
  protected abstract way(g: tf.Tensor, name: string): tf.Tensor

  /** One step; `lr` as a tensor lets a compiled step change its rate. */
  step(grads: Record<string, tf.Tensor>, lr: tf.Tensor | number = this.lr): void {
    tf.tidy(() => {
      for (const [name, g] of Object.entries(grads)) {
        const p = this.params[name], kept = this.wd ? tf.sub(p, tf.mul(p, tf.mul(lr, this.wd))) : p
        p.assign(tf.sub(kept, tf.mul(this.way(g, name), lr)))
      }
    })
  }
  /** A zero for each parameter, to be remembered under `kind`. */
  protected keep(kind: string): void {
    for (const [name, p] of Object.entries(this.params)) {
      this.state[`${kind}.${name}`] = tf.tidy(() => tf.variable(tf.zerosLike(p), false))
    }
  }
  /** avg ← β avg + (1 − β) x */
  protected average(avg: string, x: tf.Tensor, beta: number): tf.Tensor {
    const v = this.state[avg]
    v.assign(tf.add(tf.mul(v, beta), tf.mul(x, 1 - beta)))
    return v
  }
  /** What it is, its rate and how many numbers it moves. */
  [inspect.custom](): string {
    const all = Object.values(this.params), count = all.reduce((n, v) => n + v.size, 0)
    return `${this.constructor.name}: lr ${this.lr}, wd ${this.wd}, ${count} parameters`
  }
  dispose(): void { for (const v of Object.values(this.state)) v.dispose() }
}

// %% ../nbs/07_training.ipynb a2c13887
/** p ← p − lr g */
export class SGD extends Optimizer {
  protected way(g: tf.Tensor): tf.Tensor { return g }
}

// %% ../nbs/07_training.ipynb 7b5fca39
/** Goes by the running average of the gradients: v ← β v + (1 − β) g. */
export class Momentum extends Optimizer {
  mom: number
  constructor(params: Params, { mom = 0.9, ...rest }: { lr: number, wd?: number, mom?: number }) {
    super(params, rest)
    this.mom = mom
    this.keep('avg')
  }
  protected way(g: tf.Tensor, name: string): tf.Tensor {
    return this.average(`avg.${name}`, g, this.mom)
  }
}

// %% ../nbs/07_training.ipynb aa641a3f
/** Divides each gradient by its usual size: s ← β s + (1 − β) g², p ← p − lr g / (√s + ε). */
export class RMSProp extends Optimizer {
  beta: number
  eps: number
  constructor(params: Params, { beta = 0.99, eps = 1e-8, ...rest }:
    { lr: number, wd?: number, beta?: number, eps?: number }) {
    super(params, rest)
    this.beta = beta
    this.eps = eps
    this.keep('sqrAvg')
  }
  protected way(g: tf.Tensor, name: string): tf.Tensor {
    const s = this.average(`sqrAvg.${name}`, tf.square(g), this.beta)
    return tf.div(g, tf.add(tf.sqrt(s), this.eps))
  }
}

// %% ../nbs/07_training.ipynb f2c8533c
/** Momentum and RMSProp together, both averages divided by 1 − βᵗ (Kingma and Ba, 2014). */
export class Adam extends Optimizer {
  betas: [number, number]
  eps: number
  constructor(params: Params, { betas = [0.9, 0.999], eps = 1e-8, ...rest }:
    { lr: number, wd?: number, betas?: [number, number], eps?: number }) {
    super(params, rest)
    this.betas = betas
    this.eps = eps
    this.keep('avg')
    this.keep('sqrAvg')
    this.state.t = tf.tidy(() => tf.variable(tf.scalar(0), false))
  }
  step(grads: Record<string, tf.Tensor>, lr: tf.Tensor | number = this.lr): void {
    const { t } = this.state
    tf.tidy(() => t.assign(tf.add(t, 1)))
    super.step(grads, lr)
  }
  /** 1 − βᵗ, kept exact while it is small */
  private full(beta: number): tf.Tensor {
    return tf.neg(tf.expm1(tf.mul(this.state.t, Math.log(beta))))
  }
  protected way(g: tf.Tensor, name: string): tf.Tensor {
    const [b1, b2] = this.betas
    const v = tf.div(this.average(`avg.${name}`, g, b1), this.full(b1))
    const s = tf.div(this.average(`sqrAvg.${name}`, tf.square(g), b2), this.full(b2))
    return tf.div(v, tf.add(tf.sqrt(s), this.eps))
  }
}

// %% ../nbs/07_training.ipynb 82070967
/** Inputs and targets, of an item or of a batch. */
export type Batch = [x: tf.Tensor, y: tf.Tensor]

// %% ../nbs/07_training.ipynb 3d422394
type Rows = { data: tf.TypedArray, shape: number[], dtype: tf.DataType }
const rowsOf = (x: tf.Tensor): Rows =>
  ({ data: x.dataSync() as tf.TypedArray, shape: x.shape, dtype: x.dtype })

function pick({ data, shape: [, ...rest], dtype }: Rows, ix: ArrayLike<number>): tf.Tensor {
  const size = rest.reduce((a, b) => a * b, 1), n = ix.length
  const out = data.slice(0, 0).constructor as new (n: number) => tf.TypedArray
  const rows = new out(n * size)
  for (let k = 0; k < n; k++) rows.set(data.subarray(ix[k] * size, (ix[k] + 1) * size), k * size)
  return tf.tensor(rows, [n, ...rest], dtype)
}

// %% ../nbs/07_training.ipynb 27a6f6d0
/** Pairs of tensors' rows: `at(i)` is one pair, `batch(ix)` those with the numbers `ix`. */
export class Dataset {
  length: number
  private x: Rows
  private y: Rows
  constructor(x: tf.Tensor, y: tf.Tensor) {
    const ok = x.rank > 0 && x.shape[0] === y.shape[0]
    if (!ok) throw new RangeError(`Dataset: lengths differ, got [${x.shape}] and [${y.shape}]`)
    this.length = x.shape[0]
    this.x = rowsOf(x)
    this.y = rowsOf(y)
  }
  at(i: number): Batch { return this.batch([i]).map(o => tf.squeeze(o, [0])) as Batch }
  batch(ix: ArrayLike<number>): Batch {
    const odd = Array.prototype.find.call(ix, i => !(Number.isInteger(i) && i >= 0 && i < this.length))
    if (odd !== undefined) throw new RangeError(`Dataset: wanted 0 … ${this.length - 1}, got ${odd}`)
    return [pick(this.x, ix), pick(this.y, ix)]
  }
  [inspect.custom]() { return `Dataset of ${this.length}: [${this.x.shape}] and [${this.y.shape}]` }
}

// %% ../nbs/07_training.ipynb d1509c8b
/** 0 … n − 1 in an order drawn with `rand` (Fisher and Yates). */
export function permutation(n: number): Uint32Array {
  const ok = Number.isInteger(n) && n >= 0
  if (!ok) throw new RangeError(`permutation: wanted a whole number ≥ 0, got ${n}`)
  const ix = Uint32Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const k = Math.floor(rand() * (i + 1)), o = ix[i]
    ix[i] = ix[k]
    ix[k] = o
  }
  return ix
}

// %% ../nbs/07_training.ipynb 8deaa89f
/** The numbers of `n` items as they stand, or in a new order each time. */
export class Sampler {
  constructor(public n: number, public shuffle = false) {}
  order(): Uint32Array {
    return this.shuffle ? permutation(this.n) : Uint32Array.from({ length: this.n }, (_, i) => i)
  }
  [Symbol.iterator](): Iterator<number> { return this.order().values() }
}

// %% ../nbs/07_training.ipynb f61f30e6
/** What f gives while `rand` starts from the seed `a`; the generator then goes on as before. */
export function underSeed<T>(a: number, f: () => T): T {
  const state = getState()
  seed(a)
  try { return f() } finally { setState(state) }
}

// %% ../nbs/07_training.ipynb 285d7666
/** What a loader can draw from; `batch` is used where there is one, else items are stacked. */
export interface Source {
  length: number
  at(i: number): Batch | Promise<Batch>
  batch?(ix: ArrayLike<number>): Batch | Promise<Batch>
}

// %% ../nbs/07_training.ipynb 3de0fcf7
/** Items as one batch: each tensor gets a first axis. The items are disposed. */
export function collate(items: Batch[]): Batch {
  const batch = [0, 1].map(k => tf.stack(items.map(o => o[k])))
  tf.dispose(items)
  return batch as Batch
}

// %% ../nbs/07_training.ipynb 5c0bfe93
/** Batches of `bs` items, for `for await`; whoever takes a batch disposes of it. */
export class DataLoader implements AsyncIterable<Batch> {
  bs: number
  sampler: Sampler
  dropLast: boolean
  prefetch: number
  constructor(public ds: Source,
    { bs = 64, shuffle = false, dropLast = false, prefetch = 1 } = {}) {
    const atLeast = (least: number, n: number) => Number.isInteger(n) && n >= least
    if (!atLeast(1, bs)) throw new RangeError(`DataLoader: wanted a batch size ≥ 1, got ${bs}`)
    if (!atLeast(0, prefetch)) throw new RangeError(`DataLoader: wanted prefetch ≥ 0, got ${prefetch}`)
    this.bs = bs
    this.sampler = new Sampler(ds.length, shuffle)
    this.dropLast = dropLast
    this.prefetch = prefetch
  }
  /** The number of batches. */
  get length(): number {
    return Math[this.dropLast ? 'floor' : 'ceil'](this.ds.length / this.bs)
  }
  [Symbol.asyncIterator](): AsyncGenerator<Batch> { return this.batches() }

  /** An epoch's batches from number `from` on. The order is drawn at once. */
  batches(from = 0): AsyncGenerator<Batch> {
    const { ds, bs, dropLast, length } = this
    const all = `${ds.length} items, batches of ${bs}${dropLast ? ', none smaller' : ''}`
    if (!length) throw new RangeError(`DataLoader: there is no batch: ${all}`)
    const draw = () => Math.floor(rand() * 2 ** 40), own = this.sampler.shuffle ? draw() : 0
    const seeds = underSeed(own, () => Array.from({ length }, draw))
    return this.load(this.sampler.order(), seeds, from)
  }
  private async make(ix: Uint32Array): Promise<Batch> {
    if (this.ds.batch) return this.ds.batch(ix)
    return collate(await Promise.all(Array.from(ix, i => this.ds.at(i))))
  }
  private async *load(order: Uint32Array, seeds: number[], from: number): AsyncGenerator<Batch> {
    const { bs, length } = this, ahead: Promise<Batch>[] = []
    const start = (i: number) => {
      const o = underSeed(seeds[i], () => this.make(order.subarray(i * bs, (i + 1) * bs)))
      o.catch(() => {}) // whoever awaits it hears of it
      ahead.push(o)
    }
    for (let i = from; i < Math.min(from + this.prefetch, length); i++) start(i)
    try {
      for (let i = from; i < length; i++) {
        if (i + this.prefetch < length) start(i + this.prefetch)
        yield await ahead.shift()!
      }
    } finally { for (const o of ahead) o.then(batch => tf.dispose(batch), () => {}) }
  }
  [inspect.custom]() {
    return `DataLoader: ${this.length} batches of ${this.bs} from ${inspect(this.ds)}`
  }
}

// %% ../nbs/07_training.ipynb 30e0c651
/** Loaders for training, shuffled, and for validation. */
export class DataLoaders {
  constructor(public train: DataLoader, public valid: DataLoader) {}
  [inspect.custom](): string { return `train ${inspect(this.train)}\nvalid ${inspect(this.valid)}` }
}

/** Loaders of batches of `bs` from two data sets. */
export function getDls(train: Source, valid: Source, { bs = 64 } = {}): DataLoaders {
  return new DataLoaders(new DataLoader(train, { bs, shuffle: true }),
    new DataLoader(valid, { bs: 2 * bs }))
}

// %% ../nbs/07_training.ipynb 8b1f4e62
/** MNIST to train on: `n` and `nValid` digits as 784 numbers of mean 0 and deviation 1. */
export async function digitsDls({ n = full ? 50000 : 6000, nValid = full ? 10000 : 2000, bs = 64 } = {}):
  Promise<DataLoaders> {
  const [x, y, xValid, yValid] = await mnistTensors()
  const normed = (x: tf.Tensor) => tf.div(tf.sub(x, 0.1304), 0.3073)
  const first = (x: tf.Tensor, y: tf.Tensor, n: number) => {
    const rows = tf.tidy(() => [normed(at(x, [0, n])), at(y, [0, n])])
    const ds = new Dataset(rows[0], rows[1])
    tf.dispose(rows)
    return ds
  }
  const dls = getDls(first(x, y, n), first(xValid, yValid, nValid), { bs })
  tf.dispose([x, y, xValid, yValid])
  return dls
}

// %% ../nbs/07_training.ipynb acb614b4
let turned = 0

// %% ../nbs/07_training.ipynb b6d3e44c
/** Lets Node's event loop turn if that was 30 ms ago: bars are drawn, interrupts arrive. */
export async function breathe(): Promise<void> {
  if (performance.now() - turned < 30) return
  await new Promise(done => setImmediate(done))
  turned = performance.now()
}

// %% ../nbs/07_training.ipynb a0c17bc4
/** Mean loss and accuracy of a model over a loader's items. */
export async function evaluate(model: Module, dl: DataLoader, lossFunc = crossEntropy) {
  const sums = [0, 0, 0]
  model.train(false)
  for await (const [xb, yb] of dl) {
    const [loss, acc] = tf.tidy(() => {
      const preds = model.call(xb)
      return tf.stack([lossFunc(preds, yb), accuracy(preds, yb)]).dataSync()
    })
    sums[0] += loss * yb.size
    sums[1] += acc * yb.size
    sums[2] += yb.size
    tf.dispose([xb, yb])
    await breathe()
  }
  const [loss, right, n] = sums
  return { loss: loss / n, accuracy: right / n }
}

// %% ../nbs/07_training.ipynb e43d81ac
/** Train for some epochs; `lr` is a function of the way done, 0 … 1. What each epoch brought. */
export async function fit(epochs: number, { model, opt, dls, lossFunc = crossEntropy, lr = () => opt.lr }:
  { model: Module, opt: Optimizer, dls: DataLoaders, lossFunc?: typeof crossEntropy,
    lr?: (done: number) => number }) {
  const history: { loss: number, accuracy: number }[] = [], steps = epochs * dls.train.length
  const params = model.params(), bar = progress(steps, { label: 'fit' })
  for (let epoch = 0; epoch < epochs; epoch++) {
    model.train()
    for await (const [xb, yb] of dls.train) {
      tf.tidy(() => {
        const { grads } = lossAndGrads(() => lossFunc(model.call(xb), yb), params)
        opt.step(grads, lr(bar.count / steps))
      })
      tf.dispose([xb, yb])
      bar.step()
      await breathe()
    }
    history.push(await evaluate(model, dls.valid, lossFunc))
    bar.note = `accuracy ${history.at(-1)!.accuracy.toFixed(4)}`
  }
  bar.finish()
  return history
}
