// Do not edit: made by "npm run export" from ../nbs/04_random.ipynb (a0ef2dae7de5)
// A generator built from three small clocks: what its state is, how copies of a program come to throw the same dice, and how fast it can be.

import { randomInt } from 'crypto'
import { tf } from './engine'

// %% ../nbs/04_random.ipynb 3577ff4f
export type RandState = [x: number, y: number, z: number]
let _state: RandState

/** Start the generator from a whole number; without one, from the hardware's randomness. */
export function seed(a = randomInt(2 ** 47)): void {
  const ok = Number.isSafeInteger(a) && a >= 0
  if (!ok) throw new RangeError(`seed: wanted a whole number ≥ 0, got ${a}`)
  const [b, x] = [Math.floor(a / 30268), a % 30268]
  const [c, y] = [Math.floor(b / 30306), b % 30306]
  _state = [x + 1, y + 1, c % 30322 + 1]
}
seed()

// %% ../nbs/04_random.ipynb 2a4511eb
/** The generator's state, to be kept with a checkpoint. */
export function getState(): RandState { return [..._state] }

/** Go on from a state that `getState` gave. */
export function setState(s: RandState): void {
  const primes = [30269, 30307, 30323]
  const ok = s.length === 3 && s.every((x, i) => Number.isInteger(x) && x > 0 && x < primes[i])
  if (!ok) throw new RangeError(`setState: wanted a state that getState gave, got [${s}]`)
  _state = [...s]
}

// %% ../nbs/04_random.ipynb a7ae5050
const clock = (m: number, p: number) => {
  const size = p - 1, face = new Float64Array(2 * size), place = new Uint16Array(p)
  for (let k = 0, x = 1; k < 2 * size; k++, x = m * x % p) {
    face[k] = x / p
    place[x] = k % size
  }
  return { m, p, size, face, place }
}
const clocks = [clock(171, 30269), clock(172, 30307), clock(170, 30323)]

// %% ../nbs/04_random.ipynb 448d4039
type Face = Float64Array
type Fill = (out: Float32Array, n: number, a: Face, b: Face, c: Face) => void

function draw(size: number, per: number, fill: Fill): Float32Array {
  const out = new Float32Array(size), most = Math.floor(clocks[0].size / per)
  for (let i = 0; i < size; i += most) {
    const n = Math.min(most, size - i)
    const hands = clocks.map(({ place, size }, k) => (place[_state[k]] + 1) % size)
    const [a, b, c] = clocks.map(({ face }, k) => face.subarray(hands[k]))
    fill(out.subarray(i), n, a, b, c)
    const last = (k: number) => Math.round(clocks[k].face[hands[k] + n * per - 1] * clocks[k].p)
    _state = [last(0), last(1), last(2)]
  }
  return out
}

// %% ../nbs/04_random.ipynb 943ed6c2
const below1 = 1 - 2 ** -24
const part = (v: number) => v - Math.floor(v)
const part32 = (v: number) => v - Math.floor(v) < below1 ? v - Math.floor(v) : below1

const uniform: Fill = (out, n, a, b, c) => {
  let i = 0
  for (; i + 3 < n; i += 4) {
    out[i] = part32(a[i] + b[i] + c[i])
    out[i + 1] = part32(a[i + 1] + b[i + 1] + c[i + 1])
    out[i + 2] = part32(a[i + 2] + b[i + 2] + c[i + 2])
    out[i + 3] = part32(a[i + 3] + b[i + 3] + c[i + 3])
  }
  for (; i < n; i++) out[i] = part32(a[i] + b[i] + c[i])
}

// %% ../nbs/04_random.ipynb e03d4725
const sizeOf = (shape: number[]) => shape.reduce((a, b) => a * b, 1)

/** A tensor of drawn numbers; of none, where tensors have only a shape (notebook 24a). */
function drawn(shape: number[], per: number, fill: Fill): tf.Tensor {
  const ok = shape.every(n => Number.isSafeInteger(n) && n >= 0)
  if (!ok) throw new RangeError(`rand: wanted a shape of whole numbers ≥ 0, got [${shape}]`)
  if (tf.getBackend() === 'hollow') return tf.fill(shape, 0)
  return tf.tensor(draw(sizeOf(shape), per, fill), shape)
}

// %% ../nbs/04_random.ipynb d7deb639
/** The next number in [0, 1), by Wichmann & Hill (AS 183); with a shape, a tensor of them. */
export function rand(): number
export function rand(shape: number[]): tf.Tensor
export function rand(shape?: number[]): number | tf.Tensor {
  if (shape) return drawn(shape, 1, uniform)
  const [x, y, z] = _state
  _state = [171 * x % 30269, 172 * y % 30307, 170 * z % 30323]
  return (_state[0] / 30269 + _state[1] / 30307 + _state[2] / 30323) % 1
}

// %% ../nbs/04_random.ipynb 3984e0de
const normal = (u: number, v: number) => Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v)

const normals: Fill = (out, n, a, b, c) => {
  for (let i = 0; i < n; i++) {
    const j = 2 * i, k = j + 1
    out[i] = normal(part(a[j] + b[j] + c[j]), part(a[k] + b[k] + c[k]))
  }
}

// %% ../nbs/04_random.ipynb c42cea1d
/** z = √(−2 ln(1 − u)) cos 2πv, a number of mean 0 and deviation 1; with a shape, a tensor. */
export function randn(): number
export function randn(shape: number[]): tf.Tensor
export function randn(shape?: number[]): number | tf.Tensor {
  return shape ? drawn(shape, 2, normals) : normal(rand(), rand())
}
