// Do not edit: made by "npm run export" from ../nbs/03_tensors.ipynb (0dc5b9bfabb8)
// A rectangular block of numbers with a shape: where it comes from, what it can do, and all of MNIST as four of them.

import { tf } from './engine'
import { NdArray, loadMnist } from './files'

// %% ../nbs/03_tensors.ipynb b9e1b5ed
/** The tensor of lists, a typed array or an unpickled array (of whole numbers: an int32 tensor). */
export function tensor(xs: tf.TensorLike | NdArray): tf.Tensor {
  if (!(xs instanceof Object && 'shape' in xs && 'data' in xs)) return tf.tensor(xs)
  const { shape, dtype } = xs, data = xs.data as ArrayLike<number>
  if (!/int/.test(dtype)) return tf.tensor(Float32Array.from(data), shape, 'float32')
  return tf.tensor(Int32Array.from(data, Number), shape, 'int32')
}

// %% ../nbs/03_tensors.ipynb 94b65de8
/** MNIST: pictures [50000, 784] and labels [50000] to train on, 10,000 each to validate with. */
export async function mnistTensors(): Promise<[tf.Tensor2D, tf.Tensor1D, tf.Tensor2D, tf.Tensor1D]> {
  const { train, valid } = await loadMnist()
  const [xt, yt, xv, yv] = [train.x, train.y, valid.x, valid.y].map(tensor)
  return [xt as tf.Tensor2D, yt as tf.Tensor1D, xv as tf.Tensor2D, yv as tf.Tensor1D]
}

// %% ../nbs/03_tensors.ipynb 18e3ab70
type Index = number | [from: number, to: number]
const span = (i: Index, n: number) =>
  typeof i !== 'number' ? [i[0], Math.min(i[1], n)] : i < 0 ? [i + n, i + n + 1] : [i, i + 1]
const fits = ([from, to]: number[], n: number) =>
  Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= n

// %% ../nbs/03_tensors.ipynb c669636e
/** `x[i, j, …]`: a number picks along its axis and drops it, -1 the last; a pair keeps a part. */
export function at(x: tf.Tensor, ...ix: (number | [from: number, to: number])[]): tf.Tensor {
  if (ix.length > x.rank) throw new RangeError(`at: ${ix.length} indices, the rank is ${x.rank}`)
  const spans = ix.map((i, d) => span(i, x.shape[d]))
  const bad = spans.findIndex((s, d) => !fits(s, x.shape[d]))
  if (bad >= 0) throw new RangeError(`at: index ${ix[bad]} is outside axis ${bad} of [${x.shape}]`)
  const begin = spans.map(([from]) => from), size = spans.map(([from, to]) => to - from)
  const kept = [...size.filter((_, d) => typeof ix[d] !== 'number'), ...x.shape.slice(ix.length)]
  return ix.length ? tf.tidy(() => x.slice(begin, size).reshape(kept)) : x.clone()
}
