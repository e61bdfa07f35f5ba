// Do not edit: made by "npm run export" from ../nbs/02_iterators.ipynb (28313d9b6e08)
// One thing after the other: `chunks` with `yield`, `islice`, `iter`, and a `Matrix` of our own.

import { inspect, isDeepStrictEqual } from 'util'

// %% ../nbs/02_iterators.ipynb 7a188b2d
/** Split `xs` into pieces of `n`; the last may be shorter. Works for lists, typed arrays and strings. */
export function* chunks<S extends { length: number, slice(from: number, to: number): S }>(xs: S, n: number): Generator<S> {
  if (!(Number.isInteger(n) && n > 0)) throw new Error(`chunks: expected pieces of at least 1, got ${n}`)
  for (let i = 0; i < xs.length; i += n) yield xs.slice(i, i + n)
}

// %% ../nbs/02_iterators.ipynb 38e29324
/** An iterator over `xs`; or over what `f` gives, call after call, until it equals `sentinel`. */
export function iter<T>(xs: Iterable<T>): IterableIterator<T>
export function iter<T>(f: () => T, sentinel: unknown): IterableIterator<T>
export function iter<T>(xs: Iterable<T> | (() => T), sentinel?: unknown): IterableIterator<T> {
  if (typeof xs === 'function') return until(xs, sentinel)
  if (typeof xs?.[Symbol.iterator] === 'function') return xs[Symbol.iterator]() as IterableIterator<T>
  throw new Error(`iter: expected something iterable or a function, got ${inspect(xs)}`)
}

export function* until<T>(f: () => T, sentinel: unknown): Generator<T> {
  for (let o = f(); !isDeepStrictEqual(o, sentinel); o = f()) yield o
}

// %% ../nbs/02_iterators.ipynb 2f82c4ef
/** Items `start` … `stop − 1` of `xs`, every `step`-th; with one number the first so many. Takes none beyond. */
export function* islice<T>(xs: Iterable<T>, start: number, stop?: number, step = 1): Generator<T> {
  const it = iter(xs), [from, to] = stop === undefined ? [0, start] : [start, stop]
  if (!(from >= 0 && to >= 0 && step >= 1)) throw new Error(`islice: cannot go from ${from} to ${to} by ${step}`)
  for (let i = 0; i < to; i++) {
    const o = it.next()
    if (o.done) return
    if (i >= from && (i - from) % step === 0) yield o.value
  }
}

// %% ../nbs/02_iterators.ipynb d2af9f81
/** A matrix as a list of rows: `m.at(20, 15)`, `m['20,15']` and `m[20][15]` are the same number. */
export class Matrix {
  readonly [ij: `${number},${number}`]: number
  readonly [i: number]: number[]

  constructor(public xs: number[][]) {
    const odd = xs.findIndex(o => o.length !== xs[0].length)
    if (odd > 0) throw new Error(`Matrix: row ${odd} has ${xs[odd].length} numbers, row 0 has ${xs[0].length}`)
    return new Proxy(this, { get: (m, key) => typeof key === 'string' && /^-?\d/.test(key) ? m.item(key) : (m as any)[key] })
  }

  /** Rows and columns. */
  get shape(): [number, number] { return [this.xs.length, this.xs[0]?.length ?? 0] }

  /** The number in row `i` and column `j`; negative ones count from the end. */
  at(i: number, j: number): number {
    const o = this.xs.at(i)?.at(j)
    if (o === undefined) throw new Error(`Matrix: no place [${i}, ${j}] in shape [${this.shape}]`)
    return o
  }

  private item(key: string) {
    const [i, j] = key.split(',').map(Number)
    return j === undefined ? this.xs[i] : this.at(i, j)
  }

  [inspect.custom]() { return `Matrix [${this.shape.join(', ')}]` }
}
