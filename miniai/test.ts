// Do not edit: made by "npm run export" from ../nbs/00a_test.ipynb (791f6129c405)
// Five small words to check what a cell claims, and one for exercises. You can skip this notebook at first reading.

import { inspect, isDeepStrictEqual } from 'util'

// %% ../nbs/00a_test.ipynb 07d9c2a0
const plain = (x: any) => typeof x?.arraySync === 'function' ? x.arraySync() : x
const isList = (x: any) => Array.isArray(x) || (ArrayBuffer.isView(x) && !(x instanceof DataView))

// %% ../nbs/00a_test.ipynb 13101d04
function place(a: any, b: any, eps: number): string | null {
  const [x, y] = [plain(a), plain(b)]
  if (typeof x === 'number' && typeof y === 'number') {
    return x === y || Math.abs(x - y) <= eps || (x !== x && y !== y) ? null : ''
  }
  if (!isList(x) || !isList(y)) return isDeepStrictEqual(x, y) ? null : ''
  if (x.length !== y.length) return '.length'
  for (let i = 0; i < x.length; i++) {
    const p = place(x[i], y[i], eps)
    if (p !== null) return `[${i}]${p}`
  }
  return null
}

// %% ../nbs/00a_test.ipynb 01eafd8e
const show = (x: unknown) => inspect(plain(x), { depth: 4, maxArrayLength: 20, breakLength: 100 })

function fail(what: string, a: unknown, b: unknown): never {
  throw new Error(`${what}\n  ${show(a)}\n  ${show(b)}`)
}

// %% ../nbs/00a_test.ipynb 99c77e24
/** Check that `a` equals `b`: lists, typed arrays, tensors by value, and `NaN` equals `NaN`. */
export function testEq(a: unknown, b: unknown): void {
  const p = place(a, b, 0)
  if (p !== null) fail(`testEq: the two differ${p && ` at ${p}`}`, a, b)
}

// %% ../nbs/00a_test.ipynb 5f14307f
/** Check that `a` and `b` differ. */
export function testNe(a: unknown, b: unknown): void {
  if (place(a, b, 0) === null) fail('testNe: the two are equal', a, b)
}

// %% ../nbs/00a_test.ipynb 451d317e
/** Check that all numbers of `a` and `b` are at most `eps` apart. */
export function testClose(a: unknown, b: unknown, eps = 1e-5): void {
  const p = place(a, b, eps)
  if (p !== null) fail(`testClose: more than ${eps} apart${p && ` at ${p}`}`, a, b)
}

// %% ../nbs/00a_test.ipynb dcfb92e2
/** Check that `a` and `b` are one and the same object. */
export function testIs(a: unknown, b: unknown): void {
  if (!Object.is(a, b)) fail('testIs: not the same object', a, b)
}

// %% ../nbs/00a_test.ipynb 1bcfa31b
function failed(e: unknown, contains: string) {
  const text = e instanceof Error ? `${e.name}: ${e.message}` : String(e)
  if (!text.includes(contains)) fail('testFails: failed with other words', text, contains)
}

function notFailed(): never { throw new Error('testFails: nothing was thrown') }

// %% ../nbs/00a_test.ipynb c07d8fe5
/** Check that `f` throws, with `contains` in its message; an async `f` gives a promise to await. */
export function testFails(f: () => Promise<unknown>, contains?: string): Promise<void>
export function testFails(f: () => unknown, contains?: string): void
export function testFails(f: () => unknown, contains = ''): void | Promise<void> {
  let o: unknown
  try { o = f() } catch (e) { return failed(e, contains) }
  if (o instanceof Promise) return o.then(notFailed, e => failed(e, contains))
  notFailed()
}

// %% ../nbs/00a_test.ipynb 35c41e4b
/** Try the tests in `f` and print a tick, or what is still missing; never throws. */
export function check(name: string, f: () => void): void {
  let missing = ''
  try { f() } catch (e) { missing = e instanceof Error && e.message || String(e) }
  console.log(missing ? `· ${name}: not yet. ${missing}` : `✓ ${name}`)
}
