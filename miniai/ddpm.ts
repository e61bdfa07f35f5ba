// Do not edit: made by "npm run export" from ../nbs/12_ddpm.ipynb (4bdad4b2faa4)
// Noise a "7" until nothing is left of it, teach a network to see the noise, and go the way back from noise that nobody made out of a digit.

import { GroupNorm } from './activations'
import { Conv } from './convnet'
import { tf } from './engine'
import { Callback, Learning } from './learner'
import { rand, randn } from './random'
import { Batch, Module } from './training'

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

// %% ../nbs/12_ddpm.ipynb c73b608b
/** Pictures x [n, h, w, c] → [n, h/k, w/k, k² c]: each block of k × k pixels becomes channels. */
export function fold(x: tf.Tensor, k: number): tf.Tensor {
  const [n, h, w, c] = x.shape
  const split = tf.transpose(tf.reshape(x, [n, h / k, k, w / k, k, c]), [0, 1, 3, 2, 4, 5])
  return tf.reshape(split, [n, h / k, w / k, k * k * c]) // [n, h/k, w/k, k² c]
}

/** The way back: [n, h, w, c] → [n, h k, w k, c / k²]. */
export function unfold(x: tf.Tensor, k: number): tf.Tensor {
  const [n, h, w, c] = x.shape
  const split = tf.transpose(tf.reshape(x, [n, h, w, k, k, c / k / k]), [0, 1, 3, 2, 4, 5])
  return tf.reshape(split, [n, h * k, w * k, c / k / k])
}

// %% ../nbs/12_ddpm.ipynb 5984b627
class Block extends Module {
  norm1: GroupNorm
  conv1: Conv
  norm2: GroupNorm
  conv2: Conv
  constructor(nf: number) {
    super()
    this.norm1 = new GroupNorm(8, nf)
    this.conv1 = new Conv(nf + 1, nf)
    this.norm2 = new GroupNorm(8, nf)
    this.conv2 = new Conv(nf, nf)
    tf.tidy(() => this.conv2.weight.assign(tf.zerosLike(this.conv2.weight)))
  }
  forward(x: tf.Tensor, time: tf.Tensor): tf.Tensor {
    const h = this.conv1.call(tf.concat([tf.relu(this.norm1.call(x)), time], 3))
    return tf.add(x, this.conv2.call(tf.relu(this.norm2.call(h))))
  }
}

// %% ../nbs/12_ddpm.ipynb c1667a2c
/** The noise [n, 28, 28, 1] in pictures with their times [n, 28, 28, 2], found on 7 × 7 places. */
export class FoldedNet extends Module {
  start = new Conv(17, 64)
  blocks = [1, 2, 3, 4].map(() => new Block(64))
  norm = new GroupNorm(8, 64)
  end = new Conv(64, 16)
  constructor() {
    super()
    tf.tidy(() => this.end.weight.assign(tf.zerosLike(this.end.weight)))
  }
  forward(x: tf.Tensor): tf.Tensor {
    const [n, h, w] = x.shape, [picture, times] = tf.split(x, 2, 3)
    const time = tf.slice(times, [0, 0, 0, 0], [n, h / 4, w / 4, 1])
    const start = this.start.call(tf.concat([fold(picture, 4), time], 3))
    const features = this.blocks.reduce((x, block) => block.call(x, time), start)
    return tf.add(picture, unfold(this.end.call(tf.relu(this.norm.call(features))), 4))
  }
}
