// Do not edit: made by "npm run export" from ../nbs/16_guidance.ipynb (40670e36ac05)
// Ask for a 7 and get one: a network that knows classes, and the one line of arithmetic that makes it listen.

import { join } from 'path'
import { mse, noisify, unfold } from './ddpm'
import { tf } from './engine'
import { chunks } from './iterators'
import { JitRandom, jit } from './jit'
import { Callback, Learner, TrainCB } from './learner'
import { loadModel } from './safetensors'
import { Model, SampleOptions, Schedule, cosineSchedule, sample } from './samplers'
import { Conditions, UNet, digitsUNet } from './unet'

// %% ../nbs/16_guidance.ipynb 6e9d3ad6
/** The schedule the digits are trained with. */
export const digitsSchedule = (): Schedule => cosineSchedule({ prediction: 'v' })

// %% ../nbs/16_guidance.ipynb dd685167
/** Trains a `UNet` that knows classes; noise, times and left-out labels are drawn in the step. */
export class GuidedCB extends TrainCB {
  draws: JitRandom
  drop: number
  none: number
  constructor(public schedule: Schedule, { seed = 42, drop = 0.1, none = 10 } = {}) {
    super()
    this.draws = new JitRandom(seed)
    this.drop = drop
    this.none = none
  }
  /** Labels y [n], some of them exchanged for `none`. */
  labels(y: tf.Tensor): tf.Tensor {
    const isDropped = tf.less(this.draws.uniform(y.shape), this.drop)
    return tf.where(isDropped, tf.fill(y.shape, this.none), tf.cast(y, 'float32'))
  }
  /** What the network is told for labels y. */
  told(y: tf.Tensor): Conditions { return { y: this.labels(y) } }
  predict(learn: Learner, x0: tf.Tensor): tf.Tensor { return x0 }
  getLoss({ model }: Learner, x0: tf.Tensor, y: tf.Tensor): tf.Tensor {
    const { abar } = this.schedule, { draws } = this, n = x0.shape[0]
    const places = tf.mod(tf.add(tf.div(tf.range(0, n), n), draws.uniform([1])), 1)
    const t = tf.floor(tf.mul(places, abar.length)), eps = draws.normal(x0.shape)
    const rows = tf.oneHot(tf.cast(t, 'int32'), abar.length) // tf.gather would read t: no jit
    const a = tf.reshape(tf.matMul(rows, tf.tensor2d(abar, [abar.length, 1])), [n, 1, 1, 1])
    const v = tf.sub(tf.mul(eps, tf.sqrt(a)), tf.mul(x0, tf.sqrt(tf.sub(1, a))))
    const out = (model as UNet).forward(noisify(x0, eps, a), t, this.told(y))
    return mse(out, v)
  }
  getState(): unknown { return [...this.draws.state.dataSync()] }
  setState(state: number[]): void {
    tf.tidy(() => this.draws.state.assign(tf.tensor1d(state, 'int32')))
  }
}

// %% ../nbs/16_guidance.ipynb 07afd723
/** Lets the last convolution, and what ends each block, begin at zero. */
export function quietStart<M extends UNet>(unet: M): M {
  for (const [name, v] of Object.entries(unet.params())) {
    const isLast = /conv2\.|conv_out\.|to_out\./.test(name)
    if (isLast) tf.tidy(() => v.assign(tf.zerosLike(v) as tf.Variable))
  }
  return unet
}

// %% ../nbs/16_guidance.ipynb 63100f02
/** Keeps an average of the weights with the optimizer's state; at the end the model gets it. */
export class EmaCB extends Callback {
  order = 90
  private step?: ((beta: tf.Tensor) => tf.Tensor[]) & { dispose(): void }
  private count = 0
  constructor(public decay = 0.998) { super() }
  private pairs({ opt }: Learner): [tf.Variable, tf.Variable][] {
    return Object.entries(opt.params).map(([name, v]) => [opt.state[`ema.${name}`], v])
  }
  beforeFit(learn: Learner): void {
    const { params, state } = learn.opt
    for (const [name, v] of Object.entries(params)) {
      state[`ema.${name}`] = tf.tidy(() => tf.variable(tf.clone(v), false))
    }
    this.count = 0
    this.step = jit((beta: tf.Tensor) => {
      for (const [avg, v] of this.pairs(learn)) {
        avg.assign(tf.add(v, tf.mul(tf.sub(avg, v), beta)) as tf.Variable)
      }
      return []
    })
  }
  afterBatch({ training }: Learner): void {
    if (!training) return
    const k = this.count++, beta = Math.min(this.decay, (1 + k) / (10 + k))
    tf.tidy(() => void this.step!(tf.scalar(beta)))
  }
  afterFit(learn: Learner): void {
    for (const [avg, v] of this.pairs(learn)) v.assign(avg)
  }
  cleanupFit(): void { this.step?.dispose() }
  getState(): unknown { return this.count }
  setState(count: number): void { this.count = count }
}

// %% ../nbs/16_guidance.ipynb e46c3372
/** The trained network of `nbs/models`. */
export function loadGuided(path = join(__dirname, '../nbs/models/guided.safetensors')): UNet {
  const unet = digitsUNet()
  loadModel(path, unet)
  return unet.train(false)
}

// %% ../nbs/16_guidance.ipynb 72ca6039
/** What the two sides are told, how far to go; and between which timesteps to guide at all. */
export interface Guidance { g: number, u: Conditions, t: Conditions, from?: number, to?: number }

// %% ../nbs/16_guidance.ipynb 97c6bd7a
type Sides = { u: Conditions, t: Conditions }
const pair = (a?: tf.Tensor, b?: tf.Tensor) => a && b && tf.concat([a, b])

/** u + g (t − u) in one pass. */
function guidedPass(unet: UNet) {
  return (x: tf.Tensor, times: tf.Tensor, g: tf.Tensor, { u, t }: Sides): tf.Tensor => {
    const told = { context: pair(u.context, t.context), y: pair(u.y, t.y) }
    const both = unet.forward(tf.concat([x, x]), tf.concat([times, times]), told)
    const [outU, outT] = tf.split(both, 2)
    return tf.add(outU, tf.mul(g, tf.sub(outT, outU)))
  }
}

// %% ../nbs/16_guidance.ipynb fb8f2e20
const passes = new WeakMap<UNet, ReturnType<typeof makePasses>>()
const makePasses = (unet: UNet) => ({ guided: jit(guidedPass(unet)),
  alone: jit((x: tf.Tensor, times: tf.Tensor, told: Conditions) => unet.forward(x, times, told)) })

function passesOf(unet: UNet) {
  const known = passes.get(unet) ?? makePasses(unet)
  passes.set(unet, known)
  return known
}

// %% ../nbs/16_guidance.ipynb 5d7d7ec5
/** A model for `sample` that answers u + g (t − u), between the timesteps `from` and `to`. */
export function cfg(unet: UNet, { g, u, t, from = 0, to = Infinity }: Guidance): Model {
  const { downBlockTypes, midBlockType, numClassEmbeds } = unet.config
  const isTold = numClassEmbeds || [...downBlockTypes, midBlockType].some(o => o?.includes('Cross'))
  if (!isTold) throw new Error('cfg: this U-Net knows no classes and no context to guide it by')
  if (!Number.isFinite(g)) throw new Error(`cfg: wanted a number g, got ${g}`)
  const { guided, alone } = passesOf(unet)
  return (x, times) => {
    const [time] = times.dataSync(), isOff = g === 1 || time < from || time > to
    if (isOff || g === 0) return alone(x, times, isOff ? t : u)
    return guided(x, times, tf.scalar(g), { u, t })
  }
}

// %% ../nbs/16_guidance.ipynb 2142afbb
/** How digits are made, besides what `sample` can be told; picture i has the seed `seed` + i. */
export type DigitOptions = Omit<Partial<SampleOptions>, 'seed'>
  & { g?: number, seed?: number, from?: number, to?: number }

/** Pictures [n, 28, 28, 1], 0 … 1, of the digits asked for, made `bs` at a time. */
export async function makeDigits(unet: UNet, digits: number[],
  { g = 1.65, seed = 1, from, to, ...rest }: DigitOptions = {}, bs = 100): Promise<tf.Tensor4D> {
  const odd = digits.length ? digits.find(o => ![...Array(11).keys()].includes(o)) : 'none'
  if (odd !== undefined) throw new Error(`makeDigits: wanted digits 0 to 9 (10: any), got ${odd}`)
  const parts: tf.Tensor[] = [], options = { steps: 20, sampler: 'dpmpp2m' as const, ...rest }
  for (const [k, some] of [...chunks(digits, bs)].entries()) {
    const [y, none] = [tf.tensor1d(some), tf.fill([some.length], 10)]
    const model = cfg(unet, { g, u: { y: none }, t: { y }, from, to })
    const seeds = some.map((_, i) => seed + k * bs + i), shape = [some.length, 14, 14, 4]
    const x = await sample(model, shape, digitsSchedule(), { ...options, seed: seeds })
    parts.push(tf.tidy(() => tf.clipByValue(tf.div(tf.add(unfold(x, 2), 1), 2), 0, 1)))
    tf.dispose([y, none, x])
  }
  try { return tf.concat(parts) as tf.Tensor4D } finally { tf.dispose(parts) }
}
