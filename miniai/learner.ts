// Do not edit: made by "npm run export" from ../nbs/08_learner.ipynb (0bfc913030d7)
// One training loop for everything that follows: what changes from model to model is hung into it from outside, and a training that dies can go on where it was.

import { existsSync, rmSync } from 'fs'
import { join } from 'path'
import { inspect } from 'util'
import { tf } from './engine'
import { jit } from './jit'
import { Progress, plot } from './plots'
import { RandState, getState, setState } from './random'
import { assignAll, loadTensors, saveModel, saveTensors } from './safetensors'
import { Adam, Batch, DataLoader, DataLoaders, Module, Optimizer, Params, SGD, breathe, crossEntropy,
  lossAndGrads } from './training'

// %% ../nbs/08_learner.ipynb 2ba87e0a
type Moment = 'beforeFit' | 'beforeEpoch' | 'beforeBatch' | 'afterBatch' | 'afterEpoch' | 'afterFit'
type Inside = 'afterPredict' | 'afterLoss' | 'afterBackward' | 'afterStep'
type Cleanup = 'cleanupFit' | 'cleanupEpoch' | 'cleanupBatch'
const insides: Inside[] = ['afterPredict', 'afterLoss', 'afterBackward', 'afterStep']
const moments = [...insides, ...['Fit', 'Epoch', 'Batch'].flatMap(what =>
  ['before', 'after', 'cleanup'].map(when => when + what))]

// %% ../nbs/08_learner.ipynb 0ac453db
/** A number that says how good predictions are, as a function of tensors. */
export type Metric = (preds: tf.Tensor, yb: tf.Tensor) => tf.Tensor

/** Listens to a Learner; methods named after moments are called in the order of `order`. */
export class Callback {
  order = 0
  /** Whether steps must be the same to the last digit in each run; they are not compiled then. */
  isExact = false
  /** What the step is to find besides the loss; it is compiled with the step. */
  metrics: Metric[] = []
  /** What a checkpoint should keep of this callback, as JSON can hold it. */
  getState(): unknown { return undefined }
  setState(state: unknown): void {}
}

// %% ../nbs/08_learner.ipynb dd31d2e4
/**
 * Where in a fit a checkpoint was made, the rate there, and two states of the random numbers: when
 * the order of the epoch was drawn, and then.
 */
export type Place = { epoch: number, iter: number, lr: number, drawn: RandState, rand: RandState }

/** What a callback sees of a Learner, and may change. */
export interface Learning {
  model: Module
  dls: DataLoaders
  /** The loader of this epoch. */
  dl: DataLoader
  opt: Optimizer
  lr: number
  epochs: number
  epoch: number
  /** The number of the batch in its epoch. */
  iter: number
  /** How much of the fit is done, 0 … 1. */
  done: number
  training: boolean
  batch: Batch
  preds: tf.Tensor
  loss: number
  /** What the callbacks' metrics found in this batch. */
  found: Map<Metric, number>
  lossFunc: (preds: tf.Tensor, yb: tf.Tensor) => tf.Tensor
  /** The callbacks at work. */
  listeners: Callback[]
  /** Where an epoch that was begun goes on; a checkpoint sets it. */
  place?: Place
  /** The state of the random numbers when the order of this epoch was drawn. */
  drawn: RandState
}

// %% ../nbs/08_learner.ipynb b04164a2
type Listener = { [K in Moment]?: (learn: Learning) => void | Promise<void> }
  & { [K in Inside | Cleanup]?: (learn: Learning) => void }

// %% ../nbs/08_learner.ipynb 9d415018
/** Thrown by a callback: leave out the rest of this batch. */
export class CancelBatchException extends Error {}
/** Thrown by a callback: leave out the rest of this epoch. */
export class CancelEpochException extends Error {}
/** Thrown by a callback: end this fit. */
export class CancelFitException extends Error {}

// %% ../nbs/08_learner.ipynb e2bcdcbe
/** How the model is asked and judged; a subclass may do it another way. */
export class TrainCB extends Callback {
  predict(learn: Learning, xb: tf.Tensor): tf.Tensor { return learn.model.call(xb) }
  getLoss(learn: Learning, preds: tf.Tensor, yb: tf.Tensor): tf.Tensor {
    return learn.lossFunc(preds, yb)
  }
}

// %% ../nbs/08_learner.ipynb b3c8e1f7
function namesOf(o: object | null): string[] {
  return o ? [...Object.getOwnPropertyNames(o), ...namesOf(Object.getPrototypeOf(o))] : []
}

function listener(o: Callback): Callback {
  if (typeof o?.order !== 'number' || !Array.isArray(o.metrics)) {
    throw new TypeError(`Learner: wanted callbacks, got ${inspect(o, { depth: 0 })}`)
  }
  const like = /^(before|after|cleanup)_?(fit|epoch|batch|predict|loss|backward|step)$/i
  const odd = namesOf(o).find(name => like.test(name) && !moments.includes(name))
  if (!odd) return o
  const what = `"${odd}" of ${o.constructor.name} is no moment`
  throw new TypeError(`Learner: ${what}; there are ${moments.join(', ')}`)
}

function noPromise(result: unknown, moment: string, { constructor: { name } }: object): void {
  if (!(result instanceof Promise)) return
  result.catch(() => {}) // what it would say later comes too late
  throw new TypeError(`Learner: ${moment} of ${name} is async, but nothing can be waited for there`)
}

// %% ../nbs/08_learner.ipynb ba056a9b
type Phase = 'Fit' | 'Epoch' | 'Batch'

/** The callbacks of a fit, in their order, and what they are told about. */
class Audience {
  cbs: Callback[]
  metrics: Metric[]
  constructor(public learn: Learning, cbs: Callback[]) {
    this.cbs = cbs.map(listener).sort((a, b) => a.order - b.order)
    this.metrics = cbs.flatMap(o => o.metrics)
  }
  async ask(moment: Moment): Promise<void> {
    for (const o of this.cbs as Listener[]) {
      const waits = o[moment]?.(this.learn)
      if (waits) await waits
    }
  }
  tell(moment: Inside | Cleanup): void {
    for (const o of this.cbs as Listener[]) noPromise(o[moment]?.(this.learn), moment, o)
  }
  /** Do `f` between its two moments; a `Cancel` that is thrown on the way ends it, no more. */
  async during(what: Phase, Cancel: new () => Error, f: () => Promise<void>): Promise<void> {
    try {
      await this.ask(`before${what}`)
      await f()
      await this.ask(`after${what}`)
    } catch (e) {
      if (!(e instanceof Cancel)) throw e
    } finally { this.tell(`cleanup${what}`) }
  }
}

// %% ../nbs/08_learner.ipynb 9611ae66
type Step = ((xb: tf.Tensor, yb: tf.Tensor, lr: tf.Tensor) => tf.Tensor[]) & { dispose?(): void }
const compiled = (f: Step): Step => jit(f)

// %% ../nbs/08_learner.ipynb e7bd16d6
const trainCBof = ({ cbs }: Audience): TrainCB =>
  cbs.find((o): o is TrainCB => o instanceof TrainCB) ?? new TrainCB()

// %% ../nbs/08_learner.ipynb 5d2e90b1
function single({ name }: Metric, o: tf.Tensor): tf.Tensor {
  if (o.size === 1) return tf.cast(tf.reshape(o, []), 'float32')
  throw new RangeError(`Learner: wanted one number of "${name}", got the shape [${o.shape}]`)
}

const numbers = ({ metrics }: Audience, loss: tf.Tensor, preds: tf.Tensor, yb: tf.Tensor) =>
  tf.stack([tf.reshape(loss, []), ...metrics.map(f => single(f, f(preds, yb)))])

// %% ../nbs/08_learner.ipynb 103d9b06
/** A step of training: predict, judge, find the gradients, change the weights. */
const trainStep = (told: Audience): Step => (xb, yb, lr) => {
  const { learn } = told, trainCB = trainCBof(told), kept: tf.Tensor[] = []
  try {
    const { loss, grads } = lossAndGrads(() => {
      kept.push(learn.preds = tf.keep(trainCB.predict(learn, xb)))
      told.tell('afterPredict')
      const loss = trainCB.getLoss(learn, learn.preds, yb)
      told.tell('afterLoss')
      return loss
    }, learn.opt.params)
    told.tell('afterBackward')
    learn.opt.step(grads, lr)
    told.tell('afterStep')
    return [numbers(told, loss, learn.preds, yb), learn.preds]
  } catch (e) {
    tf.dispose([kept, ...(tf.engine().state.activeTape ?? []).map(o => o.saved ?? [])])
    throw e // the library's notes for the gradient were given back with the prediction
  }
}

// %% ../nbs/08_learner.ipynb cfeb0b94
/** A step of validation: predict and judge. */
const validStep = (told: Audience): Step => (xb, yb) => {
  const { learn } = told, trainCB = trainCBof(told), preds = trainCB.predict(learn, xb)
  return [numbers(told, trainCB.getLoss(learn, preds, yb), preds, yb), preds]
}

// %% ../nbs/08_learner.ipynb 4945fb78
function maybeCompiled(step: Step, { learn, cbs }: Audience): Step {
  const isWatched = cbs.some(o => insides.some(name => (o as Listener)[name]))
  const isHooked = [...learn.model.modules()].some(m => m.hooks.length)
  const isExact = cbs.some(o => o.isExact)
  return isWatched || isHooked || isExact ? step : compiled(step)
}

// %% ../nbs/08_learner.ipynb 59b4ecec
/** One batch; its tensors are given back whatever happens. */
async function oneBatch(told: Audience, batch: Batch, step: Step): Promise<void> {
  const { learn } = told
  let outs: tf.Tensor[] = []
  learn.batch = batch
  try {
    await told.during('Batch', CancelBatchException, async () => {
      outs = tf.tidy(() => step(...learn.batch, tf.scalar(learn.lr)))
      learn.preds = outs[1]
      const [loss, ...rest] = await outs[0].data()
      learn.loss = loss
      learn.found = new Map(told.metrics.map((f, i) => [f, rest[i]]))
    })
  } finally { tf.dispose([batch, learn.batch, outs]) }
}

// %% ../nbs/08_learner.ipynb 910089b5
/** One pass over the data, from the place that a checkpoint has set, if it has. */
async function oneEpoch(told: Audience, training: boolean, step: Step): Promise<void> {
  const { learn } = told
  learn.training = training
  learn.dl = training ? learn.dls.train : learn.dls.valid
  learn.model.train(training)
  await told.during('Epoch', CancelEpochException, async () => {
    const place = training ? learn.place : undefined
    if (training) learn.place = undefined
    if (place) setState(place.drawn)
    learn.drawn = getState()
    learn.iter = place?.iter ?? 0
    const batches = learn.dl.batches(learn.iter)
    if (place) setState(place.rand)
    for await (const batch of batches) {
      await oneBatch(told, batch, step)
      learn.iter++
      await breathe()
    }
  })
}

// %% ../nbs/08_learner.ipynb 89bfc4d6
/** How a Learner is set up, all of it optional. */
export type LearnerOptions = {
  lossFunc?: (preds: tf.Tensor, yb: tf.Tensor) => tf.Tensor
  lr?: number
  wd?: number
  /** The optimizer's class. */
  opt?: new (params: Params, options: { lr: number, wd?: number }) => Optimizer
  cbs?: Callback[]
}

// %% ../nbs/08_learner.ipynb 0a412186
/** A model, its data, and the loop that trains it; callbacks are told what happens. */
export class Learner implements Learning {
  lossFunc!: (preds: tf.Tensor, yb: tf.Tensor) => tf.Tensor
  lr!: number
  cbs!: Callback[]
  opt!: Optimizer
  epochs = 0
  epoch = 0
  iter = 0
  training = true
  dl: DataLoader
  batch!: Batch
  preds!: tf.Tensor
  loss = NaN
  found = new Map<Metric, number>()
  place?: Place
  drawn: RandState = getState()
  private told = new Audience(this, [])
  private isFitting = false
  constructor(public model: Module, public dls: DataLoaders, public options: LearnerOptions = {}) {
    const { lossFunc = crossEntropy, lr = 0.1, cbs = [] } = options
    Object.assign(this, { lossFunc, lr, cbs })
    this.dl = dls.train
  }

  /** The model, and how far the last fit came. */
  [inspect.custom](): string {
    return `Learner after ${this.epoch} of ${this.epochs} epochs\n${inspect(this.model)}`
  }
  get listeners(): Callback[] { return this.told.cbs }
  get done(): number { return (this.epoch + this.iter / this.dls.train.length) / this.epochs }

  /** Train for some epochs, each followed by a validation. */
  async fit(epochs = 1, { lr = this.lr, cbs = [], valid = true }:
    { lr?: number, cbs?: Callback[], valid?: boolean } = {}): Promise<this> {
    const { opt = SGD, wd } = this.options, old = this.lr
    const ok = Number.isInteger(epochs) && epochs >= 0
    if (!ok) throw new RangeError(`fit: wanted a whole number of epochs, got ${epochs}`)
    if (this.isFitting) throw new Error('fit: a fit of this Learner is under way; await it first')
    const told = this.told = new Audience(this, [...this.cbs, ...cbs])
    Object.assign(this, { epochs, epoch: 0, iter: 0, lr, place: undefined })
    this.opt?.dispose()
    this.opt = new opt(this.model.params(), { lr, wd })
    let steps: Step[] = []
    this.isFitting = true
    try {
      await told.during('Fit', CancelFitException, async () => {
        steps = [trainStep, validStep].map(f => maybeCompiled(f(told), told))
        for (; this.epoch < epochs; this.epoch++) {
          await oneEpoch(told, true, steps[0])
          if (valid) await oneEpoch(told, false, steps[1])
        }
      })
    } finally {
      this.isFitting = false
      this.lr = old
      for (const o of steps) o.dispose?.()
    }
    return this
  }
}

// %% ../nbs/08_learner.ipynb b0fc0bdd
/** Ends the fit after its first batch, to try out whether everything fits. */
export class SingleBatchCB extends Callback {
  order = 1
  afterBatch(): void { throw new CancelFitException() }
}

// %% ../nbs/08_learner.ipynb 431f3315
/** What an epoch of training or validation brought. */
export type Line = { epoch: number, phase: 'train' | 'valid', [metric: string]: number | string }

/** Means of the loss and of `metrics`, under their functions' names, for each epoch: in `lines`. */
export class MetricsCB extends Callback {
  lines: Line[] = []
  private sums: number[] = []
  private count = 0
  private names: string[]
  constructor(...metrics: Metric[]) {
    super()
    const odd = metrics.find(f => typeof f !== 'function')
    if (odd) throw new TypeError(`MetricsCB: wanted functions, got ${inspect(odd)}`)
    this.metrics = metrics
    this.names = ['loss', ...metrics.map(f => f.name)]
    const all = ['epoch', 'phase', ...this.names], isRight = new Set(all).size === all.length
    const wanted = 'wanted metrics of different names, none of loss, epoch and phase'
    const got = () => metrics.map(f => `"${f.name}"`).join(', ')
    if (!isRight || all.includes('')) throw new RangeError(`MetricsCB: ${wanted}, got ${got()}`)
  }
  beforeFit(): void { this.lines = [] }
  beforeEpoch(): void {
    this.sums = this.names.map(() => 0)
    this.count = 0
  }
  afterBatch({ batch: [xb], loss, found }: Learner): void {
    const values = [loss, ...this.metrics.map(f => found.get(f)!)]
    values.forEach((o, i) => { this.sums[i] += o * xb.shape[0] })
    this.count += xb.shape[0]
  }
  afterEpoch({ epoch, training }: Learner): void {
    const means = this.names.map((name, i) => [name, this.sums[i] / this.count])
    const phase = training ? 'train' : 'valid'
    this.lines.push({ epoch, phase, ...Object.fromEntries(means) })
  }
  getState(): unknown { return { lines: this.lines, sums: this.sums, count: this.count } }
  setState(o: { lines: Line[], sums: number[], count: number }): void { Object.assign(this, o) }
}

// %% ../nbs/08_learner.ipynb 6ae9e3ae
const thin = (xs: number[], most = 400) => {
  const every = Math.ceil(xs.length / most), kept = xs.map((y, x) => ({ x, y }))
  return kept.filter((_, i) => i % every === 0 || i === xs.length - 1)
}

// %% ../nbs/08_learner.ipynb fdb40aff
/** A live bar with the losses of training and validation under it. */
export class ProgressCB extends Callback {
  order = 10
  train: number[] = []
  valid: { x: number, y: number }[] = []
  private bar?: Progress<number>
  private sum = 0
  constructor(public chart = true) { super() }
  beforeFit({ epochs, dls }: Learner): void {
    Object.assign(this, { train: [], valid: [] })
    this.bar = new Progress<number>([], epochs * dls.train.length, 'fit')
  }
  beforeEpoch({ epoch, iter, dls, training }: Learner): void {
    this.sum = 0
    if (training) this.bar!.count = epoch * dls.train.length + iter
  }
  afterBatch({ training, loss, batch, epoch, iter }: Learner): void {
    if (!training) return void (this.sum += loss * batch[0].shape[0])
    const isBad = !Number.isFinite(loss) && Number.isFinite(this.train.at(-1) ?? 0)
    if (isBad) this.bar!.note = `loss ${loss} since epoch ${epoch + 1}, batch ${iter + 1}`
    this.train.push(loss)
    if (this.chart && this.train.length % 20 === 0) this.draw()
    this.bar!.step()
  }
  afterEpoch({ training, dl, epoch }: Learner): void {
    if (training) return
    this.valid.push({ x: this.train.length, y: this.sum / dl.ds.length })
    this.bar!.note = `epoch ${epoch + 1}, loss ${this.valid.at(-1)!.y.toFixed(4)}`
    if (this.chart) this.draw()
  }
  private draw(): void {
    const traces = [thin(this.train), this.valid].map((ps, i) =>
      ({ x: ps.map(p => p.x), y: ps.map(p => p.y), name: ['training', 'validation'][i] }))
    const [xaxis, yaxis] = ['batch', 'loss'].map(text => ({ title: { text } }))
    const layout = { xaxis, yaxis, height: 260 }
    this.bar!.chart = { traces: traces.filter(o => o.x.length), layout }
  }
  cleanupFit(): void { this.bar?.finish() }
  getState(): unknown { return { train: this.train, valid: this.valid } }
  setState(o: { train: number[], valid: { x: number, y: number }[] }): void {
    Object.assign(this, o)
    this.bar?.goOn(this.train.length)
  }
}

// %% ../nbs/08_learner.ipynb d98414b7
/** From the part of a fit that is done, 0 … 1, to a factor for the learning rate. */
export type Schedule = (done: number) => number

/** From 1 to `end` along half a cosine wave. */
export const cosine = (end = 0): Schedule => done => end + (1 - end) * (1 + Math.cos(Math.PI * done)) / 2

// %% ../nbs/08_learner.ipynb 54fa8e1b
/** Up from `start` to 1 during the part `rise`, then down to `end` (Smith, 2018). */
export function oneCycle({ rise = 0.25, start = 0.04, end = 1e-5 } = {}): Schedule {
  if (!(rise > 0 && rise < 1)) throw new RangeError(`oneCycle: wanted 0 < rise < 1, got ${rise}`)
  return done => done < rise ? start + (1 - start) * (1 - Math.cos(Math.PI * done / rise)) / 2
    : cosine(end)((done - rise) / (1 - rise))
}

// %% ../nbs/08_learner.ipynb 5ad338b4
/** Sets the learning rate before each batch by a schedule. */
export class SchedCB extends Callback {
  private base = 0
  constructor(public schedule: Schedule) { super() }
  beforeFit({ lr }: Learner): void { this.base = lr }
  beforeBatch(learn: Learner): void {
    if (!learn.training) return
    const factor = this.schedule(learn.done)
    const ok = Number.isFinite(factor)
    if (!ok) throw new TypeError(`SchedCB: wanted a number from the schedule, got ${inspect(factor)}`)
    learn.lr = this.base * factor
  }
}

// %% ../nbs/08_learner.ipynb 479e060e
/** Records learning rate and loss of each batch, and draws them. */
export class RecorderCB extends Callback {
  lrs: number[] = []
  losses: number[] = []
  beforeFit(): void { Object.assign(this, { lrs: [], losses: [] }) }
  afterBatch({ training, lr, loss }: Learner): void {
    if (!training) return
    this.lrs.push(lr)
    this.losses.push(loss)
  }
  plot(): void {
    const layout = { xaxis: { title: { text: 'batch' } }, height: 220 }
    plot([{ y: this.lrs, name: 'rate' }], { ...layout, title: 'learning rate' })
    plot([{ y: this.losses, name: 'loss' }], { ...layout, title: 'loss' })
  }
  getState(): unknown { return { lrs: this.lrs, losses: this.losses } }
  setState(o: { lrs: number[], losses: number[] }): void { Object.assign(this, o) }
}

// %% ../nbs/08_learner.ipynb 3bf85f9b
/**
 * Multiplies the rate by `gamma` with each batch until the loss is `most` times its least; the
 * weights are then as before.
 */
export class LRFinderCB extends Callback {
  order = 5
  lrs: number[] = []
  losses: number[] = []
  private least = Infinity
  private before?: Record<string, tf.Tensor>
  constructor(public gamma = 1.3, public most = 3) { super() }
  beforeFit({ model }: Learner): void {
    const copy = ([name, v]: [string, tf.Tensor]) => [name, tf.clone(v)]
    const before = Object.fromEntries(Object.entries(model.state()).map(copy))
    Object.assign(this, { lrs: [], losses: [], least: Infinity, before })
  }
  afterBatch(learn: Learner): void {
    if (!learn.training) throw new CancelEpochException()
    this.lrs.push(learn.lr)
    this.losses.push(learn.loss)
    this.least = Math.min(this.least, learn.loss)
    if (!(learn.loss < this.most * this.least)) throw new CancelFitException()
    learn.lr *= this.gamma
  }
  cleanupFit({ model }: Learner): void {
    if (!this.before) return // another callback ended the fit before it began
    assignAll(model.state(), this.before, 'LRFinderCB')
    tf.dispose(this.before)
    this.before = undefined
  }
  plot(): void {
    const xaxis = { type: 'log', title: { text: 'learning rate' } }
    plot([{ x: this.lrs, y: this.losses, name: 'loss' }],
      { xaxis, yaxis: { title: { text: 'loss' } }, height: 300 })
  }
}

// %% ../nbs/08_learner.ipynb e346e575
/** Find and draw how the loss depends on the rate; the model keeps its weights. */
export async function lrFind(learn: Learner, { gamma = 1.3, most = 3, start = 1e-5, epochs = 10 } = {}) {
  const odd = !(gamma > 1) ? `gamma > 1, got ${gamma}` : !(most > 1) ? `most > 1, got ${most}`
    : !(start > 0) ? `start > 0, got ${start}` : ''
  if (odd) throw new RangeError(`lrFind: wanted ${odd}`)
  const finder = new LRFinderCB(gamma, most), { model, dls, lossFunc, options } = learn
  const cbs = [...learn.cbs.filter(o => o instanceof TrainCB), finder]
  const search = new Learner(model, dls, { ...options, lossFunc, cbs })
  try { await search.fit(epochs, { lr: start, valid: false }) } finally { search.opt?.dispose() }
  finder.plot()
  return finder
}

// %% ../nbs/08_learner.ipynb 7d989308
type Kept = Place & { fit: string, cbs: [name: string, state: unknown][] }

const everything = ({ model, opt }: Learner): Params => Object.fromEntries([
  ...Object.entries(model.state()).map(([name, v]) => [`model.${name}`, v]),
  ...Object.entries(opt.state).map(([name, v]) => [`opt.${name}`, v])])

// %% ../nbs/08_learner.ipynb 45b8d5f7
const fitOf = ({ epochs, dls, opt }: Learner): string =>
  `${epochs} epochs of ${dls.train.length} batches with ${opt.constructor.name}, `
    + `rate ${opt.lr}, decay ${opt.wd}`

// %% ../nbs/08_learner.ipynb c73d3f92
const toJson = (o: unknown) => JSON.stringify(o, (_, v) =>
  typeof v === 'number' && !Number.isFinite(v) ? { number: String(v) } : v)
const fromJson = (text: string) => JSON.parse(text, (_, v) =>
  v && typeof v === 'object' && 'number' in v ? Number(v.number) : v)

// %% ../nbs/08_learner.ipynb 06f37c90
/** Give a Learner what the checkpoint at `path` has; it must be one of the same fit. */
function restored(learn: Learner, path: string): Kept {
  const { tensors, metadata } = loadTensors(path)
  try {
    if (!metadata.checkpoint) throw new Error(`${path} is no checkpoint of a fit`)
    const kept: Kept = fromJson(metadata.checkpoint), fit = fitOf(learn)
    if (kept.fit !== fit) throw new Error(
      `${path} belongs to a fit of ${kept.fit}, this one is of ${fit}; remove it to begin anew`)
    assignAll(everything(learn), tensors, path)
    Object.assign(learn, { epoch: kept.epoch, place: kept })
    return kept
  } finally { tf.dispose(tensors) }
}

// %% ../nbs/08_learner.ipynb 42c24575
/** Seconds between two checkpoints, where the model goes, whether resuming must be exact. */
export type CheckpointOptions = { seconds?: number, model?: string, isExact?: boolean }

/**
 * Stores the fit in `path` every few seconds and goes on from there if the file exists; `model` is
 * a path for the trained weights alone. Without `isExact` the steps are compiled, and what goes on
 * differs in the last digits.
 */
export class CheckpointCB extends Callback {
  order = 100
  private kept?: Kept
  private last = 0
  private seconds: number
  private model?: string
  constructor(public path: string,
    { seconds = 10, model, isExact = true }: CheckpointOptions = {}) {
    super()
    this.isExact = isExact
    this.seconds = seconds
    this.model = model
  }

  beforeFit(learn: Learner): void {
    this.last = performance.now()
    this.kept = existsSync(this.path) ? restored(learn, this.path) : undefined
    if (this.kept && learn.epoch >= learn.epochs) this.recall(learn)
  }
  beforeEpoch(learn: Learner): void { if (learn.training) this.recall(learn) }
  afterBatch(learn: Learner): void {
    const isLast = learn.iter + 1 === learn.dl.length
    const isTime = performance.now() - this.last >= 1000 * this.seconds
    if (learn.training && (isLast || isTime)) this.save(learn, learn.epoch, learn.iter + 1)
  }
  afterFit(learn: Learner): void {
    this.save(learn, learn.epochs, 0)
    if (this.model) saveModel(this.model, learn.model)
  }

  private save(learn: Learner, epoch: number, iter: number): void {
    const cbs = learn.listeners.map((o): Kept['cbs'][0] => [o.constructor.name, o.getState()])
    const { lr, drawn } = learn, rand = getState()
    const kept: Kept = { fit: fitOf(learn), epoch, iter, lr, drawn, rand, cbs }
    saveTensors(this.path, everything(learn), { checkpoint: toJson(kept) })
    this.last = performance.now()
  }
  /** Callbacks have begun anew by now; give them back what they had, and what they had set. */
  private recall(learn: Learner): void {
    if (!this.kept) return
    const { cbs, lr } = this.kept
    learn.lr = lr
    learn.listeners.forEach((o, i) => {
      if (cbs[i]?.[0] === o.constructor.name && cbs[i][1] !== undefined) o.setState(cbs[i][1])
    })
    this.kept = undefined
  }
  /** Remove the file: the next fit begins anew. */
  clear(): void { rmSync(this.path, { force: true }) }
}

// %% ../nbs/08_learner.ipynb 212bedbe
/**
 * Under `npm run train`: callbacks that let the fit `name` go on after the end of the program, and
 * store its model; without `isExact` its steps are compiled.
 */
export function resumable(name: string, { isExact = true } = {}): Callback[] {
  const folder = process.env.MINIAI_RUN
  if (!folder) return []
  const model = join(folder, `${name}.safetensors`)
  return [new CheckpointCB(join(folder, `${name}.checkpoint`), { model, isExact })]
}
