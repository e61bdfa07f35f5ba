// Do not edit: made by "npm run export" from ../nbs/05_matmul.ipynb (5d6839084d94)
// One formula, written ten times: from three loops to a processor's own instructions and a graphics card, each version checked against the first and timed.

import { inspect } from 'util'
import { tf } from './engine'

// %% ../nbs/05_matmul.ipynb 4e02f998
async function runs(f: () => unknown, n: number): Promise<number> {
  tf.engine().startScope()
  const start = performance.now()
  try {
    let o: unknown
    for (let i = 0; i < n; i++) {
      o = f()
      if (o instanceof Promise) o = await o
    }
    if (o instanceof tf.Tensor) await o.data()
    return performance.now() - start
  } finally { tf.engine().endScope() }
}

// %% ../nbs/05_matmul.ipynb 591e510b
function unit(ms: number): string {
  const [x, name] = ms >= 1000 ? [ms / 1000, 's'] : ms >= 1 ? [ms, 'ms'] : [ms * 1000, 'µs']
  return `${Number(x.toPrecision(3))} ${name}`
}
const avg = (xs: number[]) => xs.reduce((a, b) => a + b, 0) / xs.length

// %% ../nbs/05_matmul.ipynb 5ac385ea
/** Times of one run of `f` in ms, after a warm-up; prints itself. A repeat lasts `ms` or longer. */
export async function timeit(f: () => unknown, { repeats = 7, ms = 30 } = {}) {
  let n = 1
  while (await runs(f, n) < ms) n *= 2
  const ts: number[] = []
  for (let i = 0; i < repeats; i++) ts.push(await runs(f, n) / n)
  const mean = avg(ts), sd = Math.sqrt(avg(ts.map(t => (t - mean) ** 2)))
  const median = ts.sort((a, b) => a - b)[repeats >> 1]
  const text = `${unit(mean)} ± ${unit(sd)} a run `
    + `(mean ± deviation of ${repeats} repeats of ${n}, median ${unit(median)})`
  return { median, mean, sd, runs: n, repeats, [inspect.custom]: () => text }
}

// %% ../nbs/05_matmul.ipynb 59aa5d92
/** cᵢⱼ = Σₖ aᵢₖ bₖⱼ: the product of matrices a [n, m] and b [m, p] is c [n, p]. */
export function matmul(a: tf.Tensor, b: tf.Tensor): tf.Tensor2D {
  const shapes = `[${a.shape}] × [${b.shape}]`
  const isPair = a.rank === 2 && b.rank === 2
  if (!isPair) throw new RangeError(`matmul: wanted two matrices, got ${shapes}`)
  if (a.shape[1] !== b.shape[0]) throw new RangeError(`matmul: inner sizes differ, got ${shapes}`)
  return tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D)
}
