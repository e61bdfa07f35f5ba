// Do not edit: made by "npm run export" from ../nbs/02_iterators.ipynb (fddcae092a94)
// One thing after the other: `chunks` with `yield`, `islice`, `iter`, and a `Matrix` of our own.

import { inspect, isDeepStrictEqual } from 'util'

// %% ../nbs/02_iterators.ipynb f458b036
/** What can be cut: a list, a typed array, a string. */
export type Sliceable<S> = { length: number, slice(from: number, to: number): S }

/** Split `xs` into pieces of `n`; the last may be shorter. */
export function* chunks<S extends Sliceable<S>>(xs: S, n: number): Generator<S> {
  if (!(n >= 1 && n % 1 === 0)) throw new Error(`chunks: expected a whole n above 0, got ${n}`)
  for (let i = 0; i < xs.length; i += n) yield xs.slice(i, i + n)
}

// %% ../nbs/02_iterators.ipynb bcdf4205
/** An iterator over `xs`; or over what `f` gives, call after call, until it equals `sentinel`. */
export function iter<T>(xs: Iterable<T>): IterableIterator<T>
export function iter<T>(f: () => T, sentinel: unknown): IterableIterator<T>
export function iter<T>(xs: Iterable<T> | (() => T), sentinel?: unknown): IterableIterator<T> {
  if (typeof xs === 'function') return _until(xs, sentinel)
  if (typeof xs?.[Symbol.iterator] !== 'function') {
    throw new Error(`iter: expected something iterable or a function, got ${inspect(xs)}`)
  }
  return xs[Symbol.iterator]() as IterableIterator<T>
}

function* _until<T>(f: () => T, sentinel: unknown): Generator<T> {
  for (let o = f(); !isDeepStrictEqual(o, sentinel); o = f()) yield o
}

// %% ../nbs/02_iterators.ipynb f37de91f
/** Items `start` … `stop − 1` of `xs`, every `step`-th; with one number, the first so many. */
export function* islice<T>(xs: Iterable<T>, start: number, stop?: number, step = 1): Generator<T> {
  const it = iter(xs), [from, to] = stop === undefined ? [0, start] : [start, stop]
  const ok = from >= 0 && to >= 0 && step >= 1
  if (!ok) throw new Error(`islice: cannot go from ${from} to ${to} by ${step}`)
  for (let i = 0; i < to; i++) {
    const o = it.next()
    if (o.done) return
    if (i >= from && (i - from) % step === 0) yield o.value
  }
}

// %% ../nbs/02_iterators.ipynb 5a91797a
/** A matrix as a list of rows: `m.at(20, 15)`, `m['20,15']` and `m[20][15]` are the same number. */
export class Matrix {
  readonly [ij: `${number},${number}`]: number
  readonly [i: number]: number[]

  constructor(public xs: number[][]) {
    const odd = xs.find(o => o.length !== xs[0].length)
    if (odd) throw new Error(`Matrix: rows of ${xs[0].length} and of ${odd.length} numbers`)
    const get = (m: any, key: string | symbol) => /^-?\d/.test(String(key)) ? m.item(key) : m[key]
    return new Proxy(this, { get })
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

  public [inspect.custom]() { return `Matrix [${this.shape.join(', ')}]` }
}
