// Do not edit: made by "npm run export" from ../nbs/09_activations.ipynb (f9d4b4858d07)
// Most networks that do not learn could; their numbers have run off to zero or to infinity on the way. How to look inside, and three ways to put it right: at the beginning, from the data, and all the time.

import { tf } from './engine'
import { Callback, Learner } from './learner'
import { plot } from './plots'
import { randn } from './random'
import { Linear, Module } from './training'

// %% ../nbs/09_activations.ipynb 42f5d924
/** Kaiming He's start: each Linear's weights from N(0, 2 / ((1 + leak²) ni)), its bias 0. */
export function initWeights<M extends Module>(
  model: M, { leak = 0, gain = Math.sqrt(2 / (1 + leak ** 2)) } = {}): M {
  for (const o of model.modules()) {
    if (!(o instanceof Linear)) continue
    tf.tidy(() => {
      o.weight.assign(tf.mul(randn([o.ni, o.nf]), gain / Math.sqrt(o.ni)) as tf.Variable)
      o.bias?.assign(tf.zerosLike(o.bias) as tf.Variable)
    })
  }
  return model
}

// %% ../nbs/09_activations.ipynb dc42e34c
/** What a hook gets to see. */
export type Look = (out: tf.Tensor, layer: Module, hook: Hook) => void

/** Calls `f` with each output of a layer until it is removed. */
export class Hook {
  private call: (out: tf.Tensor, layer: Module) => void
  constructor(public layer: Module, f: Look) {
    this.call = (out, layer) => f(out, layer, this)
    layer.hooks.push(this.call)
  }
  remove(): void { this.layer.hooks = this.layer.hooks.filter(o => o !== this.call) }
}

// %% ../nbs/09_activations.ipynb 3bb421e8
const bins = 40, reach = 10

/** How many of `xs` fall into each of the bins between −reach and reach. */
function histogram(xs: ArrayLike<number>): number[] {
  const counts = new Array<number>(bins).fill(0)
  for (let i = 0; i < xs.length; i++) {
    const k = Math.floor((xs[i] + reach) / (2 * reach) * bins)
    if (k === k) counts[Math.min(bins - 1, Math.max(0, k))]++
  }
  return counts
}

// %% ../nbs/09_activations.ipynb 8b2f15f1
/** What came out of a layer, batch by batch. */
export type Stats = { name: string, means: number[], stds: number[], dead: number[], hists: number[][] }

/** Hooks the layers that `which` picks while a model trains; keeps statistics of their outputs. */
export class ActivationStats extends Callback {
  stats: Stats[] = []
  private hooks: Hook[] = []
  constructor(public which: (layer: Module) => boolean = o => o instanceof Linear) { super() }
  beforeFit({ model }: Learner): void {
    const layers = [...model.modules()].filter(this.which)
    const blank = () => ({ means: [], stds: [], dead: [], hists: [] })
    this.stats = layers.map((o, i) => ({ name: `${i} ${o.constructor.name}`, ...blank() }))
    this.hooks = this.stats.map((to, i) => new Hook(layers[i], (out, { training }) => {
      if (training) this.look(out, to)
    }))
  }
  private look(out: tf.Tensor, to: Stats): void {
    const xs = out.dataSync(), n = xs.length
    let sum = 0, squares = 0, dead = 0
    for (let i = 0; i < n; i++) {
      sum += xs[i]
      squares += xs[i] * xs[i]
      if (Math.abs(xs[i]) < 1e-3) dead++
    }
    to.means.push(sum / n)
    to.stds.push(Math.sqrt(Math.max(0, squares / n - (sum / n) ** 2)))
    to.dead.push(Number.isFinite(sum) ? dead / n : NaN) // what ran off is a gap in the chart
    to.hists.push(histogram(xs))
  }
  cleanupFit(): void { for (const o of this.hooks) o.remove() }

  private curves(what: 'means' | 'stds' | 'dead', title: string): void {
    plot(this.stats.map(o => ({ y: o[what], name: o.name })), { title, height: 240 })
  }
  /** Mean and deviation of each layer's output by batch. */
  plotStats(): void {
    this.curves('means', 'means')
    this.curves('stds', 'deviations')
  }
  /** The share of outputs near zero by batch. */
  deadChart(): void { this.curves('dead', 'outputs near zero') }
  /** Histograms side by side, a column a batch, brighter for more: log(1 + count). */
  colorDim(i = 0): void {
    const n = this.stats.length, wanted = `wanted one of ${n} layers seen in a fit, got ${i}`
    if (!this.stats[i]) throw new RangeError(`ActivationStats.colorDim: ${wanted}`)
    const { name, hists } = this.stats[i], title = `outputs of ${name}, −${reach} to ${reach}`
    const z = Array.from({ length: bins }, (_, k) => hists.map(o => Math.log1p(o[k])))
    plot([{ type: 'heatmap', z }], { title, height: 220 })
  }
}

// %% ../nbs/09_activations.ipynb 0cd28d33
/** max(x, 0) + leak · min(x, 0) − sub */
export class GeneralRelu extends Module {
  leak: number
  sub: number
  constructor({ leak = 0.1, sub = 0.4 } = {}) {
    super()
    this.leak = leak
    this.sub = sub
  }
  forward(x: tf.Tensor): tf.Tensor {
    const o = this.leak ? tf.leakyRelu(x, this.leak) : tf.relu(x)
    return this.sub ? tf.sub(o, this.sub) : o
  }
}

// %% ../nbs/09_activations.ipynb 06d7939d
/** What `f` gives while `model` is set to use; each layer is then set back, also after an error. */
export function inUse<T>(model: Module, f: () => T): T {
  const modes = [...model.modules()].map(o => [o, o.training] as const)
  model.train(false)
  try { return f() } finally { for (const [o, training] of modes) o.training = training }
}

// %% ../nbs/09_activations.ipynb 84843041
/** Of what `layer` puts out for a batch: mean and deviation, and deviation from item to item. */
function outOf(model: Module, layer: Module, xb: tf.Tensor): number[] {
  let found: number[] = []
  const hook = new Hook(layer, out => {
    const { mean, variance } = tf.moments(out), items = tf.moments(out, 0).variance
    const [m, ...squares] = tf.stack([mean, variance, tf.mean(items)]).dataSync()
    found = [m, ...squares.map(Math.sqrt)]
  })
  try { inUse(model, () => tf.tidy(() => void model.call(xb))) } finally { hook.remove() }
  return found
}

// %% ../nbs/09_activations.ipynb 21dbea47
type Aim = { xb: tf.Tensor, eps: number, tries: number }

/** Correct `o` until what the module behind it, `seen`, puts out has mean 0 and deviation 1. */
function correct(model: Module, [o, seen]: [Linear, Module], { xb, eps, tries }: Aim): void {
  const name = Object.entries(model.state()).find(([, v]) => v === o.weight)![0]
  for (let i = 0; ; i++) {
    const [mean, sd, apart] = outOf(model, seen, xb)
    if (Math.abs(mean) < eps && Math.abs(sd - 1) < eps) return
    const [m, s] = [mean, sd].map(o => o.toPrecision(2))
    const found = `behind "${name}" the mean is ${m}, the deviation ${s}`
    const isRight = apart > 1e-6 * (1 + Math.abs(mean)) // more than rounding makes
    if (!isRight) throw new Error(`lsuvInit: ${found}, wanted numbers that differ between items`)
    if (i === tries) return console.warn(`lsuvInit: after ${tries} tries, ${found}`)
    tf.tidy(() => {
      o.bias?.assign(tf.sub(o.bias, mean) as tf.Variable)
      o.weight.assign(tf.div(o.weight, sd) as tf.Variable)
    })
  }
}

// %% ../nbs/09_activations.ipynb a4cc260a
/**
 * Corrects each Linear but the last until the module behind it, its activation, has mean 0 and
 * deviation 1 for a batch. Warns where that is not reached, as behind a ReLU.
 */
export function lsuvInit(model: Module, xb: tf.Tensor, { eps = 1e-3, tries = 20 } = {}): void {
  const layers = [...model.modules()]
  const linears = layers.filter((o): o is Linear => o instanceof Linear), n = linears.length
  if (n < 2) throw new Error(`lsuvInit: wanted a model with two Linears or more, got ${n}`)
  for (const o of linears.slice(0, -1)) {
    correct(model, [o, layers[layers.indexOf(o) + 1]], { xb, eps, tries })
  }
}

// %% ../nbs/09_activations.ipynb d7a72ea8
function normalise(x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, eps: number): tf.Tensor {
  return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, eps)))
}

function wants({ nf, constructor }: Module & { nf: number }, x: tf.Tensor, rank = 2): void {
  const isRight = x.rank >= rank && x.shape.at(-1) === nf
  if (!isRight) throw new RangeError(`${constructor.name}: wanted [..., ${nf}], got [${x.shape}]`)
}

// %% ../nbs/09_activations.ipynb 29c26ad9
/** (x − mean) / √(var + eps) · weight + bias over the last axis, of size nf (Ba et al., 2016). */
export class LayerNorm extends Module {
  weight: tf.Variable
  bias: tf.Variable
  constructor(public nf: number, public eps = 1e-5) {
    super()
    this.weight = tf.tidy(() => tf.variable(tf.ones([nf])))
    this.bias = tf.tidy(() => tf.variable(tf.zeros([nf])))
  }
  forward(x: tf.Tensor): tf.Tensor {
    wants(this, x, 1)
    const { mean, variance } = tf.moments(x, -1, true)
    return tf.add(tf.mul(normalise(x, mean, variance, this.eps), this.weight), this.bias)
  }
}

// %% ../nbs/09_activations.ipynb 9603f3b0
/**
 * (x − mean) / √(var + eps) · weight + bias over all axes but the last; in use with running means
 * (Ioffe and Szegedy, 2015).
 */
export class BatchNorm extends Module {
  weight: tf.Variable
  bias: tf.Variable
  running_mean: tf.Variable
  running_var: tf.Variable
  mom: number
  eps: number
  constructor(public nf: number, { mom = 0.1, eps = 1e-5 } = {}) {
    super()
    const make = (value: number, isLearned: boolean) =>
      tf.tidy(() => tf.variable(tf.fill([nf], value), isLearned))
    this.weight = make(1, true)
    this.bias = make(0, true)
    this.running_mean = make(0, false)
    this.running_var = make(1, false)
    this.mom = mom
    this.eps = eps
  }
  /** Move the running means towards those of a batch with n numbers for each feature. */
  protected track(mean: tf.Tensor, variance: tf.Tensor, n: number): void {
    const move = (v: tf.Variable, to: tf.Tensor) =>
      v.assign(tf.add(tf.mul(v, 1 - this.mom), tf.mul(to, this.mom)) as tf.Variable)
    move(this.running_mean, mean)
    move(this.running_var, tf.mul(variance, n / Math.max(1, n - 1)))
  }
  private moments(x: tf.Tensor): { mean: tf.Tensor, variance: tf.Tensor } {
    if (!this.training) return { mean: this.running_mean, variance: this.running_var }
    const axes = x.shape.slice(0, -1).map((_, i) => i), n = x.size / this.nf
    const { mean, variance } = tf.moments(x, axes)
    this.track(mean, variance, n)
    return { mean, variance }
  }
  forward(x: tf.Tensor): tf.Tensor {
    wants(this, x)
    const { mean, variance } = this.moments(x)
    return tf.add(tf.mul(normalise(x, mean, variance, this.eps), this.weight), this.bias)
  }
}

// %% ../nbs/09_activations.ipynb ec91661d
/** Over groups of features of x [n, …, nf] and all places, for each item (Wu and He, 2018). */
export class GroupNorm extends Module {
  weight: tf.Variable
  bias: tf.Variable
  constructor(public groups: number, public nf: number, public eps = 1e-5) {
    super()
    const isRight = Number.isInteger(groups) && groups > 0 && nf % groups === 0
    if (!isRight) throw new RangeError(`GroupNorm: ${nf} features make no ${groups} groups`)
    this.weight = tf.tidy(() => tf.variable(tf.ones([nf])))
    this.bias = tf.tidy(() => tf.variable(tf.zeros([nf])))
  }
  forward(x: tf.Tensor): tf.Tensor {
    wants(this, x)
    const { groups, nf } = this, n = x.shape[0]
    const split = tf.reshape(x, [n, -1, groups, nf / groups])
    const { mean, variance } = tf.moments(split, [1, 3], true)
    const o = tf.reshape(normalise(split, mean, variance, this.eps), x.shape)
    return tf.add(tf.mul(o, this.weight), this.bias)
  }
}
