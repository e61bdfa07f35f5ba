// Group norm, SiLU and attention in few passes against their formulas, step by step.
import assert from 'node:assert/strict'
import { tf, useBackend } from 'miniai/engine'
import { attend, groupNorm, silu } from 'miniai/fused'

before(() => useBackend())

const random = (shape: number[], seed: number) => tf.randomNormal(shape, 1, 2, 'float32', seed)
const close = (a: tf.Tensor, b: tf.Tensor) => {
  assert.deepEqual(a.shape, b.shape)
  const far = tf.max(tf.abs(tf.sub(a, b))).dataSync()[0], size = tf.max(tf.abs(b)).dataSync()[0]
  assert.ok(far <= 1e-5 * size + 1e-5, `${far} apart where numbers go up to ${size}`)
}

function bySteps(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor, groups: number): tf.Tensor {
  const parts = tf.split(x, groups, 3).map(part => {
    const { mean, variance } = tf.moments(part, [1, 2, 3], true)
    return tf.div(tf.sub(part, mean), tf.sqrt(tf.add(variance, 1e-5)))
  })
  return tf.add(tf.mul(tf.concat(parts, 3), scale), shift)
}

for (const [shape, groups] of [[[2, 5, 4, 6], 3], [[3, 1, 1, 8], 2], [[1, 7, 7, 4], 4]] as const) {
  it(`groupNorm and its gradients are those of the formula, [${shape}] in ${groups} groups`, () => {
    const xs = [random([...shape], 1), random([shape[3]], 2), random([shape[3]], 3)]
    const [x, scale, shift] = xs, dy = random([...shape], 4)
    close(groupNorm(x, scale, shift, groups), bySteps(x, scale, shift, groups))
    const ours = tf.grads((x, a, b) => groupNorm(x, a, b, groups))(xs, dy)
    tf.grads((x, a, b) => bySteps(x, a, b, groups))(xs, dy).forEach((g, i) => close(ours[i], g))
  })
}

it('groupNorm refuses channels that the groups do not divide, and other ranks', () => {
  const call = (shape: number[]) => () => groupNorm(tf.ones(shape), tf.ones([6]), tf.ones([6]), 4)
  const expected = /^RangeError: groupNorm: wanted .* a multiple of 4, got \[2,3,3,6\]$/
  assert.throws(call([2, 3, 3, 6]), expected)
  assert.throws(call([2, 3, 8]), /^RangeError: groupNorm: wanted .*, got \[2,3,8\]$/)
})

it('silu and its gradient are those of x σ(x), far out too', () => {
  const x = tf.tensor1d([-90, -3, -0.5, 0, 0.5, 3, 90]), dy = tf.tensor1d([1, 2, 3, 4, 5, 6, 7])
  const plain = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.sigmoid(x))
  close(silu(x), plain(x))
  close(tf.grad(silu)(x, dy), tf.grad(plain)(x, dy))
})

for (const mask of [undefined, [0, 0, -1e9, 0, -1e9, 0, 0, 0, 0, -1e9, -1e9, 0, 0, 2, 0]]) {
  it(`attend and its gradients are those of the formula, ${mask ? 'with' : 'without'} a mask`, () => {
    const xs = [[2, 5, 4], [2, 3, 4], [2, 3, 6]].map((shape, i) => random(shape, i + 1))
    const more = mask && tf.tensor2d(mask, [5, 3])
    const plain = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor =>
      tf.matMul(tf.softmax(tf.add(tf.div(tf.matMul(q, k, false, true), 2), more ?? 0)), v)
    const [q, k, v] = xs, dy = random([2, 5, 6], 4)
    close(attend(q, k, v, more), plain(q, k, v))
    const ours = tf.grads((...t) => attend(t[0], t[1], t[2], more))(xs, dy)
    tf.grads((...t) => plain(t[0], t[1], t[2]))(xs, dy).forEach((g, i) => close(ours[i], g))
  })
}

it('attend refuses lists that do not belong together', () => {
  const call = (...shapes: number[][]) => () => {
    const [q, k, v] = shapes.map(s => tf.ones(s))
    return attend(q, k, v)
  }
  const expected = /^RangeError: attend: wanted .*, got \[2,5,4\], \[2,3,5\] and \[2,3,6\]$/
  assert.throws(call([2, 5, 4], [2, 3, 5], [2, 3, 6]), expected)
  assert.throws(call([2, 5, 4], [2, 3, 4], [2, 4, 6]), /^RangeError: attend/)
  assert.throws(call([5, 4], [3, 4], [3, 6]), /^RangeError: attend/)
})
