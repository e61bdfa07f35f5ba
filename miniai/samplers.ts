// Do not edit: made by "npm run export" from ../nbs/14_samplers.ipynb (a8b47bdd0ad5)
// Nine ways from noise to a picture: what a noise schedule is, what a step does with the model's answer, and how few questions to the model are enough.

import { noisify } from './ddpm'
import { tf } from './engine'
import { jit } from './jit'
import { getState, randn, seed as setSeed, setState } from './random'
import { Module, Optimizer, Params, breathe } from './training'

// %% ../nbs/14_samplers.ipynb 87b08c47
/** What a model answers: the noise ε, the velocity √ᾱ ε − √(1 − ᾱ) x0, or the picture x0. */
export type Prediction = 'epsilon' | 'v' | 'x0'

/** The share ᾱ of the picture's variance that is left at each timestep, and the model's answer. */
export interface Schedule { abar: Float32Array, prediction: Prediction, kind: string }

// %% ../nbs/14_samplers.ipynb 690fa665
/** The schedule of given betas [n], 0 < β ≤ 1. */
export function betasSchedule(betas: ArrayLike<number>,
  { prediction = 'epsilon' as Prediction, kind = 'betas' } = {}): Schedule {
  const ok = betas.length > 1 && Array.from(betas).every(b => b > 0 && b <= 1)
  if (!ok) throw new RangeError('schedule: wanted two or more betas between 0 and 1')
  let left = 1
  const abar = Float32Array.from(betas, b => left *= Math.fround(1 - Math.fround(b)))
  return { abar, prediction, kind }
}

// %% ../nbs/14_samplers.ipynb 7bc29831
function ramp(from: number, to: number, n: number): Float32Array {
  const [a, b, step] = [from, to, (to - from) / (n - 1)].map(Math.fround) // as PyTorch's linspace
  return Float32Array.from({ length: n },
    (_, i) => i < n / 2 ? a + step * i : b - step * (n - 1 - i))
}

// %% ../nbs/14_samplers.ipynb 7bc29830
/** How a schedule is asked for: first and last beta, number of timesteps, the model's answer. */
export type ScheduleOptions = { betaStart?: number, betaEnd?: number, n?: number, prediction?: Prediction }

/** β grows evenly. */
export function linearSchedule({ betaStart = 1e-4, betaEnd = 0.02, n = 1000, prediction = 'epsilon' }:
  ScheduleOptions = {}): Schedule {
  return betasSchedule(ramp(betaStart, betaEnd, n), { prediction, kind: 'linear' })
}

// %% ../nbs/14_samplers.ipynb dd3f3d4e
/** √β grows evenly; the defaults are Stable Diffusion's. */
export function scaledLinearSchedule({ betaStart = 0.00085, betaEnd = 0.012, n = 1000,
  prediction = 'epsilon' }: ScheduleOptions = {}): Schedule {
  const roots = ramp(Math.sqrt(betaStart), Math.sqrt(betaEnd), n)
  return betasSchedule(roots.map(b => b * b), { prediction, kind: 'scaledLinear' })
}

// %% ../nbs/14_samplers.ipynb 245ca1a2
/** ᾱ falls as cos² over a quarter wave. */
export function cosineSchedule({ n = 1000, prediction = 'epsilon' }:
  { n?: number, prediction?: Prediction } = {}): Schedule {
  const f = (t: number) => Math.cos((t / n + 0.008) / 1.008 * Math.PI / 2) ** 2
  const betas = Array.from({ length: n }, (_, i) => Math.min(1 - f(i + 1) / f(i), 0.999))
  return betasSchedule(betas, { prediction, kind: 'cosine' })
}

// %% ../nbs/14_samplers.ipynb 585daf51
/** The schedule bent so that its last timestep is nothing but noise. */
export function zeroSnr({ abar, prediction, kind }: Schedule): Schedule {
  const roots = abar.map(Math.sqrt), rest = roots.map(r => r - roots.at(-1)!)
  const stretch = Math.fround(roots[0] / rest[0]), bent = rest.map(r => r * stretch).map(r => r * r)
  const kept = bent.map((a, i) => a / (bent[i - 1] ?? 1))
  return betasSchedule(kept.map(a => 1 - a), { prediction, kind })
}

// %% ../nbs/14_samplers.ipynb 3db467c5
const tiny = 2 ** -24 // what diffusers puts in the place of an ᾱ of nothing

function sigmasOf({ abar }: Schedule): Float32Array {
  return abar.map(o => Math.sqrt(Math.fround(1 - o) / Math.max(o, tiny * Number(o === 0))))
}

// %% ../nbs/14_samplers.ipynb 289c0dce
/** Which of the trained timesteps are used. */
export type Spacing = 'leading' | 'linspace' | 'trailing'

// %% ../nbs/14_samplers.ipynb 0833dd59
const even = (x: number) => x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x)
const list = (n: number, f: (i: number) => number) => Array.from({ length: n }, (_, i) => f(i))

function spread(n: number, steps: number, spacing: Spacing, offset: number): number[] {
  const last = steps - 1, gap = (n - 1) / Math.max(1, last)
  if (spacing === 'linspace') return list(steps, i => gap * (last - i))
  if (spacing === 'leading') return list(steps, i => Math.floor(n / steps) * (last - i) + offset)
  const stride = n / steps
  return list(Math.ceil(n / stride), i => even(n - i * stride) - 1)
}

// %% ../nbs/14_samplers.ipynb f48af991
const clamp = (x: number, least: number, most: number) => Math.min(Math.max(x, least), most)

function between(table: ArrayLike<number>, t: number): number {
  const k = clamp(Math.floor(t), 0, table.length - 2), w = clamp(t - k, 0, 1)
  return table[k] + (table[k + 1] - table[k]) * w
}

// %% ../nbs/14_samplers.ipynb 9127bc16
/** At which timesteps and sigmas a sampler works. */
export type Grid = {
  steps: number
  spacing?: Spacing
  /** Added to the timesteps of `leading`. */
  offset?: number
  /** How the sigmas fall: as trained, or on a curve between the same ends. */
  sigmas?: 'trained' | 'karras' | 'exponential'
  /** The last sigma: 0, or the smallest that was trained. */
  finalSigma?: 'zero' | 'min'
  /** `ddim`, `pndm`: end at the picture itself (true) or at timestep 0. */
  alphaToOne?: boolean
}

// %% ../nbs/14_samplers.ipynb d30969af
/** Settings of samplers; each reads those that concern it. */
export type SamplerOptions = Grid & {
  /** `ddim`: 0 draws no noise, 1 as much as `ddpm`. */
  eta?: number
  /** `ddpm`: the smaller or the larger of the two variances of the paper. */
  variance?: 'small' | 'large'
  /** Keep each estimate of the picture between −clip and clip. */
  clip?: number
  /** `pndm`: do without the Runge-Kutta steps at the start. */
  skipPrk?: boolean
  /** How many answers a multistep sampler looks back on, this one counted. */
  order?: number
  solverType?: 'midpoint' | 'heun' | 'bh1' | 'bh2'
  /** `dpmpp2m`, `unipc`: end with simpler steps when there are few; always, for `eulerAtFinal`. */
  lowerOrderFinal?: boolean
  eulerAtFinal?: boolean
}

// %% ../nbs/14_samplers.ipynb 09a493d5
const choices = {
  spacing: ['leading', 'linspace', 'trailing'], sigmas: ['trained', 'karras', 'exponential'],
  finalSigma: ['zero', 'min'], variance: ['small', 'large'],
  solverType: ['midpoint', 'heun', 'bh1', 'bh2'],
}
const ranges: Record<string, [text: string, isFine: (x: number) => boolean]> = {
  offset: ['a whole number ≥ 0', x => Number.isInteger(x) && x >= 0],
  order: ['a whole number ≥ 1', x => Number.isInteger(x) && x >= 1],
  eta: ['0 to 1', x => x >= 0 && x <= 1], clip: ['a number > 0', x => x > 0],
}

function checkOptions(options: SamplerOptions): void {
  const given = new Map(Object.entries(options).filter(([, value]) => value !== undefined))
  const refuse = (name: string, wanted: string) => {
    throw new RangeError(`sample: wanted as ${name} ${wanted}, got ${given.get(name)}`)
  }
  for (const [name, all] of Object.entries(choices)) {
    if (given.has(name) && !all.includes(given.get(name) as string)) refuse(name, all.join(' or '))
  }
  for (const [name, [wanted, isFine]] of Object.entries(ranges)) {
    if (given.has(name) && !isFine(given.get(name) as number)) refuse(name, wanted)
  }
}

// %% ../nbs/14_samplers.ipynb 6a17ba91
function checkSteps(n: number, steps: number): void {
  const ok = Number.isInteger(steps) && steps > 0 && steps <= n
  if (!ok) throw new RangeError(`sample: wanted 1 to ${n} whole steps, got ${steps}`)
}

function timestepsOf({ abar: { length: n } }: Schedule, usual: Spacing, extra: number,
  options: SamplerOptions): number[] {
  checkOptions(options)
  const { steps, spacing = usual, offset = 0 } = options
  const more = spacing === 'trailing' ? 0 : extra
  checkSteps(spacing === 'leading' ? n - more : n, steps)
  return spread(n, steps + more, spacing, offset).slice(0, more ? -more : undefined)
}

// %% ../nbs/14_samplers.ipynb ee26ea47
function wholeSteps(schedule: Schedule, usual: Spacing, options: SamplerOptions,
  extra = 0): number[] {
  const ts = timestepsOf(schedule, usual, extra, options).map(even), n = schedule.abar.length
  if (ts[0] < n) return ts
  throw new RangeError(`sample: offset ${options.offset} leads to timestep ${ts[0]} of ${n}`)
}

// %% ../nbs/14_samplers.ipynb f3182656
type Parts = { x0: tf.Tensor, eps: tf.Tensor }
const mix = (a: number, x: tf.Tensor, b: number, y: tf.Tensor) => tf.add(tf.mul(x, a), tf.mul(y, b))

const solve2: Record<Prediction, (out: tf.Tensor, x: tf.Tensor, a: number, s: number) => Parts> = {
  epsilon: (out, x, a, s) => ({ x0: mix(1 / a, x, -s / a, out), eps: out }),
  v: (out, x, a, s) => ({ x0: mix(a, x, -s, out), eps: mix(a, out, s, x) }),
  x0: (out, x, a, s) => ({ x0: out, eps: mix(1 / s, x, -a / s, out) }),
}
function partsOf(out: tf.Tensor, x: tf.Tensor, abar: number, kind: Prediction,
  clip?: number): Parts {
  const { x0, eps } = solve2[kind](out, x, Math.sqrt(abar), Math.sqrt(1 - abar))
  return { x0: clip ? tf.clipByValue(x0, -clip, clip) : x0, eps }
}

// %% ../nbs/14_samplers.ipynb 2d8dc6f0
/** Tensors that a step hands to the next one. */
export type Past = Record<string, tf.Tensor[]>
/** Where the loop is: timestep number i, calls so far, what the last step left, fresh noise. */
export interface Moment { i: number, calls: number, past: Past, noise(): tf.Tensor }
/** What a step gives: the next x, the estimate of the picture, and what to hand on. */
export interface Stepped { x: tf.Tensor, x0: tf.Tensor, past?: Past }

// %% ../nbs/14_samplers.ipynb a157a13d
/** A sampler at work on a schedule. */
export interface Solver {
  /** The timestep of each question to the model. */
  timesteps: number[]
  /** The noise at each timestep and where the last step ends, for samplers that count in sigmas. */
  sigmas?: number[]
  /** The deviation of the noise to begin with. */
  initSigma: number
  /** Questions to the model in a step. */
  order: number
  /** x as the model wants to see it at timestep number i. */
  scale(x: tf.Tensor, i: number): tf.Tensor
  /** A picture x0 with noise eps as it is at timestep number i. */
  noised(x0: tf.Tensor, eps: tf.Tensor, i: number): tf.Tensor
  step(out: tf.Tensor, x: tf.Tensor, moment: Moment): Stepped
  dispose?(): void
}
/** A way from noise to a picture. */
export type Sampler = (schedule: Schedule, options: SamplerOptions) => Solver

// %% ../nbs/14_samplers.ipynb 4e9faf01
function plain({ abar }: Schedule, timesteps: number[]) {
  return { timesteps, initSigma: 1, order: 1, scale: (x: tf.Tensor) => x,
    noised: (x0: tf.Tensor, eps: tf.Tensor, i: number) => noisify(x0, eps, abar.at(timesteps[i])!) }
}

// %% ../nbs/14_samplers.ipynb da4f7dbc
/** Denoising diffusion (Ho, Jain and Abbeel, 2020): a step of the chain, with fresh noise. */
export function ddpm(schedule: Schedule, options: SamplerOptions): Solver {
  const { abar, prediction } = schedule, { variance = 'small', clip } = options
  const timesteps = wholeSteps(schedule, 'leading', options)
  return { ...plain(schedule, timesteps), step(out, x, { i, noise }) {
    const a = abar.at(timesteps[i])!, b = abar[timesteps[i + 1]] ?? 1, beta = 1 - a / b
    const { x0 } = partsOf(out, x, a, prediction, clip)
    const mean = mix(Math.sqrt(b) * beta / (1 - a), x0, Math.sqrt(a / b) * (1 - b) / (1 - a), x)
    const v = variance === 'large' ? beta : Math.max((1 - b) / (1 - a) * beta, 1e-20)
    return { x: timesteps[i] > 0 ? tf.add(mean, tf.mul(noise(), Math.sqrt(v))) : mean, x0 }
  } }
}

// %% ../nbs/14_samplers.ipynb bbe5943b
/** Implicit steps (Song, Meng and Ermon, 2021), eq. 12: the answer's noise is used again. */
export function ddim(schedule: Schedule, options: SamplerOptions): Solver {
  const { abar, prediction } = schedule, { steps, eta = 0, alphaToOne = true, clip } = options
  const timesteps = wholeSteps(schedule, 'leading', options)
  const stride = Math.floor(abar.length / steps), end = alphaToOne ? 1 : abar[0]
  return { ...plain(schedule, timesteps), step(out, x, { i, noise }) {
    const t = timesteps[i], a = abar.at(t)!, b = abar[t - stride] ?? end
    const { x0, eps } = partsOf(out, x, a, prediction, clip)
    const s = eta * Math.sqrt(Math.max(0, (1 - b) / (1 - a) * (1 - a / b)))
    const next = mix(Math.sqrt(b), x0, Math.sqrt(Math.max(0, 1 - b - s * s)), eps)
    return { x: s ? tf.add(next, tf.mul(noise(), s)) : next, x0 }
  } }
}

// %% ../nbs/14_samplers.ipynb 773b4ce6
const bashforth = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24]]
const sum = (weights: number[], xs: tf.Tensor[]) =>
  xs.slice(0, weights.length).map((x, k) => tf.mul(x, weights[k])).reduce((a, b) => tf.add(a, b))

// %% ../nbs/14_samplers.ipynb 931f3286
function pndmStep(out: tf.Tensor, x: tf.Tensor, a: number, b: number, kind: Prediction): Stepped {
  const { x0, eps } = partsOf(out, x, a, kind)
  const scale = a * Math.sqrt(1 - b) + Math.sqrt(a * (1 - a) * b)
  return { x: mix(Math.sqrt(b / a), x, (a - b) / scale, eps), x0 }
}

// %% ../nbs/14_samplers.ipynb fa452326
function prkTimes(ts: number[], half: number): number[] {
  const pairs = ts.slice(0, 4).reverse().flatMap(t => [t, t + half]).slice(0, -1)
  return pairs.flatMap(t => [t, t]).slice(1, -1).reverse()
}
const prkShares = [1 / 6, 1 / 3, 1 / 3, 1 / 6]

// %% ../nbs/14_samplers.ipynb ed6ce1b2
type Curve = { ts: number[], at: (t: number) => number, now: (t: number) => number,
  stride: number, prediction: Prediction }

function prkStep(curve: Curve, out: tf.Tensor, x: tf.Tensor, { i, calls, past }: Moment): Stepped {
  const { ts, at, now, stride, prediction } = curve, k = calls % 4, start = k ? past.start[0] : x
  const to = ts[i] - (calls % 2 ? 0 : stride >> 1), from = ts[i - k]
  const sum = k ? tf.add(past.sum[0], tf.mul(out, prkShares[k])) : tf.mul(out, prkShares[0])
  const ets = k ? past.ets : [out, ...past.ets ?? []]
  const next = pndmStep(k === 3 ? sum : out, start, now(from), at(to), prediction)
  return { ...next, past: { ets, start: [start], sum: [sum] } }
}

// %% ../nbs/14_samplers.ipynb 871f8714
function plmsStep(curve: Curve, out: tf.Tensor, x: tf.Tensor, { i, calls, past }: Moment): Stepped {
  const { ts, at, now, stride, prediction } = curve, again = calls === 1
  const t = again ? ts[i] + stride : ts[i]
  const ets = again ? past.ets : [out, ...past.ets ?? []].slice(0, 4)
  const mean = again ? mix(0.5, out, 0.5, ets[0]) : sum(bashforth[ets.length - 1], ets)
  const next = pndmStep(mean, again ? past.start[0] : x, now(t), at(t - stride), prediction)
  return { ...next, past: { ets, start: [x] } }
}

// %% ../nbs/14_samplers.ipynb c96816c8
/** Pseudo numerical steps (Liu and others, 2022): a curve through the last four answers. */
export function pndm(schedule: Schedule, options: SamplerOptions): Solver {
  const { abar, prediction } = schedule, { steps, alphaToOne = false, skipPrk = true } = options
  if (prediction === 'x0') throw new Error('pndm: works with answers epsilon and v, got x0')
  const whole = wholeSteps(schedule, 'leading', options), stride = Math.floor(abar.length / steps)
  if (!skipPrk && steps < 4) throw new RangeError(`pndm: wanted 4 or more steps, got ${steps}`)
  const withSecond = [...whole.slice(0, 1), ...whole.slice(1, 2), ...whole.slice(1)]
  const prk = skipPrk ? [] : prkTimes(whole, stride >> 1)
  const ts = skipPrk ? withSecond : [...prk, ...whole.slice(3)]
  const at = (t: number) => abar[t] ?? (alphaToOne ? 1 : abar[0])
  const curve = { ts, at, now: (t: number) => abar.at(t)!, stride, prediction }
  const step: Solver['step'] = (out, x, moment) =>
    (moment.i < prk.length ? prkStep : plmsStep)(curve, out, x, moment)
  return { ...plain(schedule, ts), step }
}

// %% ../nbs/14_samplers.ipynb ae5d6f06
const curves = {
  karras: (max: number, min: number, w: number) =>
    (max ** (1 / 7) + w * (min ** (1 / 7) - max ** (1 / 7))) ** 7,
  exponential: (max: number, min: number, w: number) =>
    Math.exp((1 - w) * Math.log(max) + w * Math.log(min)),
}
const bend = (kind: keyof typeof curves, max: number, min: number, n: number) =>
  list(n, i => curves[kind](max, min, n > 1 ? i / (n - 1) : 0))

// %% ../nbs/14_samplers.ipynb af423e94
function timeOf(sigma: number, table: Float32Array): number {
  const log = Math.log(Math.max(sigma, 1e-10)), logs = table.map(Math.log)
  const above = logs.findIndex(o => o > log)
  const k = clamp((above < 0 ? logs.length : above) - 1, 0, logs.length - 2)
  return k + clamp((logs[k] - log) / (logs[k] - logs[k + 1]), 0, 1)
}

// %% ../nbs/14_samplers.ipynb ffdfa3c2
function inSigmas({ prediction }: Schedule, timesteps: number[], levels: number[], clip?: number) {
  const sigmas = levels.map(Math.fround), shrunk = (i: number) => 1 / Math.sqrt(sigmas[i] ** 2 + 1)
  const scale = (x: tf.Tensor, i: number) => tf.mul(x, shrunk(i))
  const clean = (out: tf.Tensor, x: tf.Tensor, i: number) =>
    partsOf(out, scale(x, i), shrunk(i) ** 2, prediction, clip).x0
  const noised = (x0: tf.Tensor, eps: tf.Tensor, i: number) => mix(1, x0, sigmas[i], eps)
  return { timesteps, sigmas, order: 1, initSigma: 1, scale, noised, clean }
}

// %% ../nbs/14_samplers.ipynb adeffbac
function sigmaPlan(schedule: Schedule, options: SamplerOptions) {
  const { steps, spacing = 'linspace', sigmas: kind = 'trained', finalSigma, clip } = options
  const table = sigmasOf(schedule)
  const ts = timestepsOf(schedule, 'linspace', 0, options).map(Math.fround)
  const trained = ts.map(t => between(table, t))
  const levels = kind === 'trained' ? trained : bend(kind, trained[0], trained.at(-1)!, steps)
  const times = kind === 'trained' ? ts : levels.map(o => Math.fround(timeOf(o, table)))
  const o = inSigmas(schedule, times, [...levels, finalSigma === 'min' ? table[0] : 0], clip)
  const most = Math.max(...o.sigmas)
  return { ...o, initSigma: spacing === 'leading' ? Math.sqrt(most ** 2 + 1) : most }
}

// %% ../nbs/14_samplers.ipynb 462e2c43
const slope = (x: tf.Tensor, x0: tf.Tensor, sigma: number) => tf.div(tf.sub(x, x0), sigma)

// %% ../nbs/14_samplers.ipynb e2c042f3
/** x ← x + (σ' − σ) (x − x0) / σ (Karras and others, 2022, algorithm 2 without its churn). */
export function euler(schedule: Schedule, options: SamplerOptions): Solver {
  const plan = sigmaPlan(schedule, options), { sigmas } = plan
  return { ...plan, step(out, x, { i }) {
    const x0 = plan.clean(out, x, i)
    return { x: mix(1, x, sigmas[i + 1] - sigmas[i], slope(x, x0, sigmas[i])), x0 }
  } }
}

// %% ../nbs/14_samplers.ipynb 87048760
/** Euler's step to a lower σ, and fresh noise back up to the next one. */
export function eulerAncestral(schedule: Schedule, options: SamplerOptions): Solver {
  const plan = sigmaPlan(schedule, options), { sigmas } = plan
  return { ...plan, step(out, x, { i, noise }) {
    const x0 = plan.clean(out, x, i), from = sigmas[i], to = sigmas[i + 1]
    const up = Math.sqrt(Math.max(0, to ** 2 * (from ** 2 - to ** 2) / from ** 2))
    const down = Math.sqrt(to ** 2 - up ** 2), next = mix(1, x, down - from, slope(x, x0, from))
    return { x: tf.add(next, tf.mul(noise(), up)), x0 }
  } }
}

// %% ../nbs/14_samplers.ipynb 7e5a731e
const twice = (xs: number[]) => xs.flatMap((x, i) => i ? [x, x] : [x])

// %% ../nbs/14_samplers.ipynb f4d7798b
/** The mean of the slopes at both ends of a step (Karras and others, 2022, algorithm 1). */
export function heun(schedule: Schedule, options: SamplerOptions): Solver {
  const { initSigma, ...plan } = sigmaPlan(schedule, options), levels = plan.sigmas
  const sigmas = [...twice(levels.slice(0, -1)), levels.at(-1)!]
  const o = inSigmas(schedule, twice(plan.timesteps), sigmas, options.clip)
  return { ...o, initSigma, order: 2, step(out, x, { i, past }) {
    const x0 = o.clean(out, x, i), here = slope(x, x0, sigmas[i])
    const first = mix(1, x, sigmas[i + 1] - sigmas[i], here), half = (sigmas[i] - sigmas[i - 1]) / 2
    if (!past.x) return { x: first, x0, past: { x: [x], here: [here] } as Past }
    return { x: tf.add(past.x[0], mix(half, past.here[0], half, here)), x0, past: {} }
  } }
}

// %% ../nbs/14_samplers.ipynb fc3cb0b5
function lmsShare(sigmas: number[], i: number, order: number, k: number): number {
  const mid = (sigmas[i] + sigmas[i + 1]) / 2, half = (sigmas[i + 1] - sigmas[i]) / 2
  const others = list(order, j => j).filter(j => j !== k).map(j => sigmas[i - j])
  const value = (s: number) => others.reduce((p, o) => p * (s - o) / (sigmas[i - k] - o), 1)
  return half * (value(mid - half / Math.sqrt(3)) + value(mid + half / Math.sqrt(3)))
}

// %% ../nbs/14_samplers.ipynb 1ed0fd8d
/** Integrates the polynomial through the last `order` slopes, 4 at most (Crowson's k-diffusion). */
export function lms(schedule: Schedule, options: SamplerOptions): Solver {
  const plan = sigmaPlan(schedule, options), { sigmas } = plan, { order: most = 4 } = options
  if (!(most >= 1 && most <= 4)) throw new RangeError(`lms: wanted an order of 1 to 4, got ${most}`)
  return { ...plan, step(out, x, { i, past }) {
    const x0 = plan.clean(out, x, i), order = Math.min(i + 1, most)
    const slopes = [slope(x, x0, sigmas[i]), ...past.slopes ?? []].slice(0, most)
    const shares = slopes.slice(0, order).map((_, k) => lmsShare(sigmas, i, order, k))
    return { x: tf.add(x, sum(shares, slopes)), x0, past: { slopes } }
  } }
}

// %% ../nbs/14_samplers.ipynb 429dc16c
const inside = (sigma: number) => {
  const a = 1 / Math.sqrt(sigma ** 2 + 1)
  return { a, s: sigma * a }
}

function wholePlan(schedule: Schedule, options: SamplerOptions, isCut: boolean) {
  const { sigmas: kind = 'trained', finalSigma, steps } = options, table = sigmasOf(schedule)
  const ts = wholeSteps(schedule, 'linspace', options, 1)
  const levels = kind === 'trained' ? ts.map(t => between(table, t))
    : bend(kind, table.at(-1)!, table[0], steps)
  const whole = isCut || kind === 'exponential' ? Math.trunc : even // as diffusers has it
  const times = kind === 'trained' ? ts : levels.map(o => whole(timeOf(o, table)))
  return inSigmas(schedule, times, [...levels, finalSigma === 'min' ? table[0] : 0])
}

// %% ../nbs/14_samplers.ipynb f9409e15
type Plan = { timesteps: number[], sigmas: number[] }

function inTime(schedule: Schedule, { timesteps, sigmas }: Plan) {
  const levels = sigmas.map(inside)
  const clean = (out: tf.Tensor, x: tf.Tensor, i: number) =>
    partsOf(out, x, levels[i].a ** 2, schedule.prediction).x0
  const noised = (x0: tf.Tensor, eps: tf.Tensor, i: number) =>
    mix(levels[i].a, x0, levels[i].s, eps)
  return { ...plain(schedule, timesteps), sigmas, levels, clean, noised }
}

// %% ../nbs/14_samplers.ipynb 67575b8a
/** The second-order multistep solver DPM-Solver++ 2M (Lu and others, 2022). */
export function dpmpp2m(schedule: Schedule, options: SamplerOptions): Solver {
  const { order = 2, solverType, lowerOrderFinal = true, eulerAtFinal, finalSigma } = options
  if (order !== 1 && order !== 2) throw new RangeError(`dpmpp2m: wanted order 1 or 2, got ${order}`)
  const o = inTime(schedule, wholePlan(schedule, options, schedule.kind === 'cosine'))
  const { sigmas, levels } = o, n = o.timesteps.length
  const isSimple = eulerAtFinal || lowerOrderFinal && n < 15 || finalSigma !== 'min'
  return { ...o, step(out, x, { i, past }) {
    const m = o.clean(out, x, i), handed = { x0: m, past: { m: [m] } }, { a, s } = levels[i + 1]
    const h = Math.log(sigmas[i] / sigmas[i + 1]), e = Math.expm1(-h)
    const next = mix(s / levels[i].s, x, -a * e, m)
    if (!past.m || order === 1 || i === n - 1 && isSimple) return { x: next, ...handed }
    const r = Math.log(sigmas[i - 1] / sigmas[i]) / h, d = tf.div(tf.sub(m, past.m[0]), r)
    return { x: mix(1, next, solverType === 'heun' ? a * (e / h + 1) : -a * e / 2, d), ...handed }
  } }
}

// %% ../nbs/14_samplers.ipynb 5a522c2a
/** r of the linear equations A r = b, by elimination. */
function solve(A: number[][], b: number[]): number[] {
  const rows = A.map((row, i) => [...row, b[i]]), n = b.length
  for (let k = 0; k < n; k++) for (let i = k + 1; i < n; i++) {
    const f = rows[i][k] / rows[k][k]
    for (let j = k; j <= n; j++) rows[i][j] -= f * rows[k][j]
  }
  const r = new Array<number>(n).fill(0)
  for (let i = n - 1; i >= 0; i--) {
    const known = r.reduce((sum, o, j) => j > i ? sum + rows[i][j] * o : sum, 0)
    r[i] = (rows[i][n] - known) / rows[i][i]
  }
  return r
}

// %% ../nbs/14_samplers.ipynb 5e9d1789
/** The shares of the differences at the places rs, for a step of h in λ. */
function uniShares(rs: number[], h: number, B: number, isHalf: boolean): number[] {
  if (isHalf) return rs.map(() => 0.5)
  const b: number[] = []
  for (let k = 1, phi = Math.expm1(-h) / -h - 1, f = 1; k <= rs.length; k++) {
    b.push(phi * f / B)
    f *= k + 1
    phi = phi / -h - 1 / f
  }
  return solve(b.map((_, k) => rs.map(r => r ** k)), b)
}

// %% ../nbs/14_samplers.ipynb 6fbe4d65
type UniPlan = { sigmas: number[], levels: { a: number, s: number }[], type?: string }

/** From timestep i to the next; `ms` are the estimates at i, i − 1, …; `mt` the one at the end. */
function uniStep({ sigmas, levels, type }: UniPlan, i: number, x: tf.Tensor, ms: tf.Tensor[],
  mt?: tf.Tensor): tf.Tensor {
  const time = (k: number) => -Math.log(sigmas[k]), { a, s } = levels[i + 1]
  const h = time(i + 1) - time(i), e = Math.expm1(-h), B = type === 'bh1' ? -h : e
  const [m0, ...older] = ms, rs = older.map((_, k) => (time(i - k - 1) - time(i)) / h)
  const ends = mt ? [...rs, 1] : rs
  const next = mix(s / levels[i].s, x, -a * e, m0)
  if (!ends.length) return next
  const shares = uniShares(ends, h, B, ends.length === 1)
  const ds = [...older, ...mt ? [mt] : []].map((m, k) => tf.div(tf.sub(m, m0), ends[k]))
  return mix(1, next, -a * B, sum(shares, ds))
}

// %% ../nbs/14_samplers.ipynb c74834e1
/** The unified predictor-corrector UniPC (Zhao and others, 2023), on estimates of the picture. */
export function unipc(schedule: Schedule, options: SamplerOptions): Solver {
  const { order: most = 2, solverType: type = 'bh2', lowerOrderFinal = true } = options
  const { timesteps, sigmas: [...sigmas] } = wholePlan(schedule, options, false)
  const isBent = options.sigmas && options.sigmas !== 'trained', n = timesteps.length
  if (options.finalSigma === 'min' && isBent) sigmas[n] = sigmas[n - 1] // as diffusers has it
  const o = inTime(schedule, { timesteps, sigmas }), plan = { sigmas, levels: o.levels, type }
  const orderAt = (i: number, calls: number) =>
    Math.min(most, lowerOrderFinal ? n - i : most, calls + 1)
  return { ...o, step(out, x, { i, calls, past }) {
    const m = o.clean(out, x, i), order = calls && orderAt(i - 1, calls - 1)
    const better = calls ? uniStep(plan, i - 1, past.x[0], past.ms.slice(0, order), m) : x
    const ms = [m, ...past.ms ?? []].slice(0, most)
    const next = uniStep(plan, i, better, ms.slice(0, orderAt(i, calls)))
    return { x: next, x0: m, past: { x: [better], ms } }
  } }
}

// %% ../nbs/14_samplers.ipynb fac3c668
/** All samplers by name. */
export const samplers = { ddpm, ddim, pndm, euler, eulerAncestral, heun, lms, dpmpp2m, unipc }

// %% ../nbs/14_samplers.ipynb 0f911ba4
/** Asked with x [n, h, w, c] as its schedule scales it and timesteps [n], answers like x. */
export type Model = (x: tf.Tensor4D, t: tf.Tensor1D) => tf.Tensor

/** What a callback sees of a run; the tensors are gone when it returns. */
export type SampleStep = { step: number, steps: number, t: number, x: tf.Tensor4D, x0: tf.Tensor4D }

/** How to sample; the rest are the sampler's own options. */
export type SampleOptions = SamplerOptions & {
  sampler?: Sampler | keyof typeof samplers
  guidance?: (model: Model) => Model
  /** Giving back `false` ends the run, and x is the result. */
  callback?: (o: SampleStep) => unknown
  signal?: AbortSignal
  /** For all noise; a list has one for each item, which is then what it would be alone. */
  seed?: number | number[]
  /** The noise that a sampler draws at call k, instead. */
  noise?: (k: number) => tf.Tensor
  /** Begin from this picture, with noise for the part `strength` of the steps, 0 … 1 (0.8). */
  init?: tf.Tensor4D
  strength?: number
}

// %% ../nbs/14_samplers.ipynb 4bc845b0
type Draw = (shape: number[]) => tf.Tensor

function stream(from: number): Draw {
  const outer = getState()
  setSeed(from)
  let own = getState()
  setState(outer)
  return shape => {
    const outer = getState()
    setState(own)
    try { return randn(shape) } finally {
      own = getState()
      setState(outer)
    }
  }
}

// %% ../nbs/14_samplers.ipynb 64c9de38
function noiseFrom(seed?: number | number[]): Draw {
  if (seed === undefined) return randn
  if (typeof seed === 'number') return stream(seed)
  const streams = seed.map(stream)
  return ([n, ...rest]) => {
    if (n !== streams.length) throw new RangeError(`sample: ${streams.length} seeds for ${n} items`)
    return tf.tidy(() => tf.stack(streams.map(draw => draw(rest))))
  }
}

// %% ../nbs/14_samplers.ipynb bd78e573
const compiled = new WeakMap<Module, Model>(), behind = new WeakMap<Model, Module>()

function modelOf(model: Model | Module): Model {
  if (!(model instanceof Module)) return model
  const isHooked = [...model.modules()].some(o => o.hooks.length)
  const hooked: Model | false = isHooked && ((x, t) => model.call(x, t)), known = compiled.get(model)
  const found = hooked || known || jit((x: tf.Tensor4D, t: tf.Tensor1D) => model.forward(x, t))
  if (!hooked) compiled.set(model, found)
  behind.set(found, model)
  return found
}

// %% ../nbs/14_samplers.ipynb 216e7dd6
/** The module that `sample` made a model of; another model is given back as it is. */
export function moduleOf(model: Model | Module): Model | Module {
  return model instanceof Module ? model : behind.get(model) ?? model
}

// %% ../nbs/14_samplers.ipynb 66b806db
async function ask(model: Model, x: tf.Tensor, t: number): Promise<tf.Tensor> {
  const out = tf.tidy(() => model(x as tf.Tensor4D, tf.tensor1d(list(x.shape[0], () => t))))
  const sum = tf.tidy(() => tf.sum(tf.mul(out, 0))), [zero] = await sum.data()
  sum.dispose()
  const isSame = String(out.shape) === String(x.shape)
  if (isSame && zero === 0) return out
  out.dispose()
  throw new Error(isSame ? `sample: the model's answer at timestep ${t} is not finite (NaN or ∞)`
    : `sample: the model answers [${out.shape}] to [${x.shape}]`)
}

// %% ../nbs/14_samplers.ipynb ced06ec3
function samplerOf(sampler: unknown): Sampler {
  const isName = (o: unknown): o is keyof typeof samplers => Object.hasOwn(samplers, String(o))
  const found = typeof sampler !== 'string' ? sampler : isName(sampler) && samplers[sampler]
  if (typeof found === 'function') return found as Sampler
  const names = Object.keys(samplers).join(', ')
  throw new Error(`sample: there is no sampler "${sampler}"; there are ${names}`)
}

function checkNoise(x: tf.Tensor | number[], init?: tf.Tensor): number[] {
  const shape = Array.isArray(x) ? x : x.shape
  if (shape.length !== 4) throw new RangeError(`sample: wanted noise [n, h, w, c], got [${shape}]`)
  if (!init || String(init.shape) === String(shape)) return shape
  throw new RangeError(`sample: the picture is [${init.shape}], the noise [${shape}]`)
}

// %% ../nbs/14_samplers.ipynb e474f757
function firstOf(o: Solver, { steps, init, strength = 0.8 }: SampleOptions): number {
  const ok = strength >= 0 && strength <= 1
  if (!ok) throw new RangeError(`sample: wanted a strength of 0 to 1, got ${strength}`)
  if (!init || strength === 1) return 0
  return Math.min((steps - Math.trunc(steps * strength)) * o.order, o.timesteps.length)
}

function startOf(o: Solver, x: tf.Tensor, first: number, { init }: SampleOptions): tf.Tensor {
  if (!init || !first) return tf.mul(x, o.initSigma)
  return first < o.timesteps.length ? o.noised(init, x, first) : tf.clone(init)
}

// %% ../nbs/14_samplers.ipynb 86db05af
type Now = Stepped & { past: Past }
const held = ({ x, x0, past }: Now) => [x, x0, ...Object.values(past).flat()]
const release = (old: tf.Tensor[], kept: tf.Tensor[]) =>
  tf.dispose(old.filter(x => !kept.includes(x)))

async function advance(f: Model, o: Solver, now: Now, moment: Omit<Moment, 'past'>): Promise<Now> {
  const { x, past } = now, { i } = moment
  const seen = tf.tidy(() => o.scale(x, i)), used = [seen]
  let next = now
  try {
    const out = await ask(f, seen, o.timesteps[i])
    used.push(out)
    next = tf.tidy(() => ({ past: {}, ...o.step(out, x, { ...moment, past }) }) as never) as Now
    return next
  } finally { release(used, [...held(now), ...held(next)]) }
}

// %% ../nbs/14_samplers.ipynb 417fca40
type Run = { f: Model, o: Solver, first: number, now: Now, draw: Draw, shape: number[] }

function begin(model: Model | Module, x: tf.Tensor4D | number[], schedule: Schedule,
  options: SampleOptions): Run {
  const { sampler = ddim, guidance = o => o, init, seed } = options, shape = checkNoise(x, init)
  const f = guidance(modelOf(model)), draw = noiseFrom(seed)
  const o = samplerOf(sampler)(schedule, options), first = firstOf(o, options)
  const start = tf.tidy(() => startOf(o, Array.isArray(x) ? draw(x) : x, first, options))
  return { f, o, first, now: { x: start, x0: start, past: {} }, draw, shape }
}

// %% ../nbs/14_samplers.ipynb af9196f3
async function go(run: Run, { callback, signal, noise }: SampleOptions): Promise<void> {
  const { f, o, first, draw, shape } = run, steps = o.timesteps.length - first
  for (let i = first, step = 0; step < steps; i++, step++) {
    await breathe()
    signal?.throwIfAborted()
    const fresh = () => noise?.(step) ?? draw(shape)
    const next = await advance(f, o, run.now, { i, calls: step, noise: fresh })
    release(held(run.now), held(next))
    run.now = next
    const { x, x0 } = next as Now & { x: tf.Tensor4D, x0: tf.Tensor4D }
    if (await callback?.({ step, steps, t: o.timesteps[i], x, x0 }) === false) return
  }
}

// %% ../nbs/14_samplers.ipynb 527853db
/** From noise x, or the shape of it, to pictures [n, h, w, c], by any sampler. */
export async function sample(model: Model | Module, x: tf.Tensor4D | number[], schedule: Schedule,
  options = {} as SampleOptions): Promise<tf.Tensor4D> {
  const run = begin(model, x, schedule, options)
  let result: tf.Tensor[] = []
  try {
    await go(run, options)
    result = [run.now.x]
    return run.now.x as tf.Tensor4D
  } finally {
    release(held(run.now), result)
    run.o.dispose?.()
  }
}

// %% ../nbs/14_samplers.ipynb 5e7f13db
/** A scheduler_config.json of diffusers, or the like. */
export type SchedulerConfig = { _class_name?: string, [key: string]: unknown }

// %% ../nbs/14_samplers.ipynb 829bbc97
const classes: Record<string, [Sampler, SchedulerConfig]> = {
  DDPM: [ddpm, { clip_sample: true }],
  DDIM: [ddim, { clip_sample: true }],
  PNDM: [pndm, { skip_prk_steps: false }],
  EulerDiscrete: [euler, {}],
  EulerAncestralDiscrete: [eulerAncestral, {}],
  HeunDiscrete: [heun, { beta_start: 0.00085, beta_end: 0.012 }],
  LMSDiscrete: [lms, {}],
  DPMSolverMultistep: [dpmpp2m, {}],
  UniPCMultistep: [unipc, {}],
}

// %% ../nbs/14_samplers.ipynb ec0e1b7d
const known: Record<string, unknown[]> = {
  beta_schedule: ['linear', 'scaled_linear', 'squaredcos_cap_v2'],
  prediction_type: ['epsilon', 'v_prediction', 'sample'],
  timestep_spacing: ['leading', 'linspace', 'trailing'],
  final_sigmas_type: ['zero', 'sigma_min'],
  variance_type: ['fixed_small', 'fixed_large'],
  algorithm_type: ['dpmsolver++'], interpolation_type: ['linear'], timestep_type: ['discrete'],
  thresholding: [false], use_beta_sigmas: [false], use_lu_lambdas: [false],
  use_flow_sigmas: [false], predict_x0: [true], use_dynamic_shifting: [false],
  lambda_min_clipped: [-Infinity], disable_corrector: [[]], solver_p: [null],
  sigma_min: [null], sigma_max: [null],
}

function checkConfig(config: SchedulerConfig): void {
  for (const [key, values] of Object.entries(known)) {
    const text = (o: unknown) => JSON.stringify(o), got = text(config[key] ?? null)
    const isKnown = got === 'null' || values.some(o => text(o) === got), only = text(values)
    if (!isKnown) throw new Error(`fromConfig: ${key} ${got} is not known here, only ${only}`)
  }
}

// %% ../nbs/14_samplers.ipynb 97a2ed6b
const answers: Record<string, Prediction> = { epsilon: 'epsilon', v_prediction: 'v', sample: 'x0' }
const makers: Record<string, (o: ScheduleOptions) => Schedule> = {
  linear: linearSchedule, scaled_linear: scaledLinearSchedule, squaredcos_cap_v2: cosineSchedule,
}

function scheduleFrom(o: SchedulerConfig): Schedule {
  const prediction = answers[String(o.prediction_type ?? 'epsilon')]
  const { num_train_timesteps = 1000, beta_start = 1e-4, beta_end = 0.02 } = o
  const [n, betaStart, betaEnd] = [num_train_timesteps, beta_start, beta_end].map(Number)
  const make = makers[String(o.beta_schedule ?? 'linear')]
  const found = o.trained_betas ? betasSchedule(o.trained_betas as number[], { prediction })
    : make({ betaStart, betaEnd, n, prediction })
  return o.rescale_betas_zero_snr ? zeroSnr(found) : found
}

// %% ../nbs/14_samplers.ipynb 379c084b
function optionsFrom(o: SchedulerConfig): Omit<SamplerOptions, 'steps'> {
  const all = {
    spacing: o.timestep_spacing, offset: o.steps_offset,
    skipPrk: o.skip_prk_steps, alphaToOne: o.set_alpha_to_one,
    sigmas: o.use_karras_sigmas ? 'karras' : o.use_exponential_sigmas ? 'exponential' : undefined,
    clip: o.clip_sample ? o.clip_sample_range ?? 1 : undefined,
    variance: o.variance_type === 'fixed_large' ? 'large' : undefined,
    finalSigma: o.final_sigmas_type === 'sigma_min' ? 'min' : undefined,
    order: o.solver_order, solverType: o.solver_type,
    lowerOrderFinal: o.lower_order_final, eulerAtFinal: o.euler_at_final,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

// %% ../nbs/14_samplers.ipynb da3a50b6
/** Schedule, sampler and its options from the words of diffusers' scheduler_config.json. */
export function fromConfig(config: SchedulerConfig):
  { schedule: Schedule, sampler: Sampler } & Omit<SamplerOptions, 'steps'> {
  const name = String(config._class_name).replace(/Scheduler$/, '')
  const found = Object.hasOwn(classes, name) && classes[name]
  const names = Object.keys(classes).join(', ')
  if (!found) throw new Error(`fromConfig: there is no class "${name}" here; there are ${names}`)
  const o = { ...found[1], ...config }
  checkConfig(o)
  return { schedule: scheduleFrom(o), sampler: found[0], ...optionsFrom(o) }
}

// %% ../nbs/14_samplers.ipynb f549d528
/** An optimizer in the solver's place: gradient = slope, rate = `pace` times the way down in σ. */
export function byOptimizer(make: (params: Params) => Optimizer, pace = 1): Sampler {
  return (schedule, options) => {
    const plan = sigmaPlan(schedule, options), { sigmas } = plan
    let v: tf.Variable | undefined, opt: Optimizer | undefined
    const step: Solver['step'] = (out, x, { i }) => {
      const x0 = plan.clean(out, x, i)
      v ??= tf.variable(x, false)
      opt ??= make({ x: v })
      v.assign(x)
      opt.step({ x: slope(x, x0, sigmas[i]) }, pace * (sigmas[i] - sigmas[i + 1]))
      return { x: tf.clone(v), x0 }
    }
    return { ...plan, step, dispose: () => [v, opt].forEach(o => o?.dispose()) }
  }
}
