// Do not edit: made by "npm run export" from ../nbs/12_ddpm.ipynb (65cc57e91128)
// Noise a "7" until nothing is left of it, teach a network to see the noise, and go the way back from noise that nobody made out of a digit.

import { tf } from './engine'
import { Callback, Learning } from './learner'
import { rand, randn } from './random'
import { Batch } from './training'

// %% ../nbs/12_ddpm.ipynb f2dba6a4
/** √ᾱ x0 + √(1 − ᾱ) ε: pictures with noise; ᾱ a number, or [n, 1, 1, 1] with one for each. */
export function noisify(x0: tf.Tensor, eps: tf.Tensor, abar: number | tf.Tensor): tf.Tensor {
  return tf.add(tf.mul(x0, tf.sqrt(abar)), tf.mul(eps, tf.sqrt(tf.sub(1, abar))))
}

// %% ../nbs/12_ddpm.ipynb 82474cb5
/** Pictures [n, h, w, c] with one more channel that holds their times t [n], 0 … 999, as −1 … 1. */
export function withTime(x: tf.Tensor, t: tf.Tensor): tf.Tensor {
  const [n, h, w] = x.shape, level = tf.sub(tf.div(tf.reshape(t, [n, 1, 1, 1]), 500), 1)
  return tf.concat([x, tf.mul(tf.ones([1, h, w, 1]), level)], 3)
}

// %% ../nbs/12_ddpm.ipynb 4f23fa58
/** Makes each batch a task: noisy pictures and their times as input, the noise as target. */
export class DdpmCB extends Callback {
  constructor(public abar: ArrayLike<number>) { super() }
  beforeBatch(learn: Learning): void {
    const [x0] = learn.batch, n = x0.shape[0], last = this.abar.length
    learn.batch = tf.tidy(() => {
      const ts = Array.from({ length: n }, () => Math.floor(rand() * last)), eps = randn(x0.shape)
      const abar = tf.tensor4d(ts.map(t => this.abar[t]), [n, 1, 1, 1])
      return [withTime(noisify(x0, eps, abar), tf.tensor1d(ts)), eps] as Batch
    })
  }
}

// %% ../nbs/12_ddpm.ipynb 77e968d1
/** The mean of (preds − targ)². */
export function mse(preds: tf.Tensor, targ: tf.Tensor): tf.Scalar {
  return tf.mean(tf.squaredDifference(preds, targ)) as tf.Scalar
}
