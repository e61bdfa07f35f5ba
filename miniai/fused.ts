// Do not edit: made by "npm run export" from ../nbs/07b_fused.ipynb (55523da11e43)
// The gradient of a group norm by hand: the same numbers from a third of the trips through memory.

import { tf } from './engine'

// %% ../nbs/07b_fused.ipynb 8037f64c
/** Sums [n, c] of channels → for each channel the mean of its group of k numbers, [n, c]. */
function groupMean(sums: tf.Tensor, groups: number, k: number): tf.Tensor {
  const [n, c] = sums.shape
  const means = tf.div(tf.sum(tf.reshape(sums, [n, groups, c / groups]), 2, true), k)
  return tf.reshape(tf.tile(means, [1, 1, c / groups]), [n, c])
}
const overPicture = (x: tf.Tensor) => tf.sum(x, [1, 2])
const perChannel = (x: tf.Tensor) => tf.reshape(x, [x.shape[0], 1, 1, x.shape[1]!])

// %% ../nbs/07b_fused.ipynb fc6a69b9
interface Saved { x: tf.Tensor, scale: tf.Tensor, mean: tf.Tensor, r: tf.Tensor }

function normGrads(dy: tf.Tensor, { x, scale, mean, r }: Saved, groups: number): tf.Tensor[] {
  const k = x.size / x.shape[0] / groups, s = overPicture(dy)
  const sx = tf.mul(tf.sub(overPicture(tf.mul(dy, x)), tf.mul(mean, s)), r) // Σ dy·x̂, [n, c]
  const a = groupMean(tf.mul(s, scale), groups, k), b = groupMean(tf.mul(sx, scale), groups, k)
  const q = tf.mul(tf.square(r), b), rest = tf.sub(tf.mul(q, mean), tf.mul(r, a))
  const dx = tf.sub(tf.mul(dy, perChannel(tf.mul(r, scale))), tf.mul(x, perChannel(q)))
  return [tf.add(dx, perChannel(rest)), tf.sum(sx, 0), tf.sum(s, 0)]
}

// %% ../nbs/07b_fused.ipynb 435d1318
/** Group norm of x [n, h, w, c] with scale and shift [c]. Wu and He (2018). */
export function groupNorm(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor,
  groups = 8, eps = 1e-5): tf.Tensor {
  const c = x.shape[3] ?? 0
  const wanted = `groupNorm: wanted [n, h, w, c] with c a multiple of ${groups}`
  if (x.rank !== 4 || c % groups) throw new RangeError(`${wanted}, got [${x.shape}]`)
  const k = x.size / x.shape[0] / groups
  return tf.customGrad((...args) => {
    const [x, scale, shift] = args as tf.Tensor[], save = args[3] as tf.GradSaveFunc
    const mean = groupMean(overPicture(x), groups, k)
    const squares = groupMean(overPicture(tf.square(x)), groups, k)
    const variance = tf.relu(tf.sub(squares, tf.square(mean)))
    const r = tf.rsqrt(tf.add(variance, eps)), a = tf.mul(r, scale)
    save([x, scale, mean, r])
    const value = tf.add(tf.mul(x, perChannel(a)), perChannel(tf.sub(shift, tf.mul(mean, a))))
    return { value, gradFunc: (dy: tf.Tensor, [x, scale, mean, r]: tf.Tensor[]) =>
      normGrads(dy, { x, scale, mean, r }, groups) }
  })(x, scale, shift)
}
