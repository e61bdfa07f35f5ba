// Do not edit: made by "npm run export" from ../nbs/07b_fused.ipynb (44b45578f4b8)
// Gradients by hand for group norm, SiLU and attention: the same numbers, fewer trips to memory.

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
  if (x.rank !== 4 || c % groups !== 0) throw new RangeError(`${wanted}, got [${x.shape}]`)
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

// %% ../nbs/07b_fused.ipynb e609052b
/** x σ(x), the sigmoid-weighted linear unit. Elfwing and others (2017). */
export function silu(x: tf.Tensor): tf.Tensor {
  return tf.customGrad((...args) => {
    const [x] = args as tf.Tensor[], save = args[1] as tf.GradSaveFunc
    const s = tf.sigmoid(x), y = tf.mul(x, s)
    save([s, y])
    return { value: y, gradFunc: (dy: tf.Tensor, [s, y]: tf.Tensor[]) =>
      tf.mul(dy, tf.add(s, tf.sub(y, tf.mul(y, s)))) }
  })(x)
}

// %% ../nbs/07b_fused.ipynb 17a69a9d
function attendGrads(dy: tf.Tensor, [q, k, v, p, o]: tf.Tensor[], factor: number): tf.Tensor[] {
  const dp = tf.matMul(dy, v, false, true) // [n, l, m]
  const ds = tf.mul(p, tf.sub(dp, tf.sum(tf.mul(dy, o), -1, true)))
  return [tf.mul(tf.matMul(ds, k), factor), tf.matMul(ds, q, true), tf.matMul(p, dy, true)]
}

// %% ../nbs/07b_fused.ipynb 88e7dfd2
/**
 * softmax(q kᵀ / √d + mask) v of q [n, l, d], k [n, m, d], v [n, m, e], mask [l, m]: [n, l, e].
 * Vaswani (2017).
 */
export function attend(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, mask?: tf.Tensor): tf.Tensor {
  const [a, b, c] = [q, k, v].map(t => t.shape)
  const areLists = [a, b, c].every(s => s.length === 3 && s[0] === a[0])
  if (!areLists || a[2] !== b[2] || b[1] !== c[1]) throw new RangeError(
    `attend: wanted [n, l, d], [n, m, d] and [n, m, e], got [${a}], [${b}] and [${c}]`)
  const factor = a[2]! ** -0.5
  return tf.customGrad((...args) => {
    const [q, k, v] = args as tf.Tensor[], save = args[3] as tf.GradSaveFunc
    const scaled = tf.mul(q, factor), scores = tf.matMul(scaled, k, false, true)
    const p = tf.softmax(mask ? tf.add(scores, mask) : scores), value = tf.matMul(p, v)
    save([scaled, k, v, p, value])
    return { value, gradFunc: (dy: tf.Tensor, kept: tf.Tensor[]) => attendGrads(dy, kept, factor) }
  })(q, k, v)
}
