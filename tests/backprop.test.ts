import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { slopeAlong, Value } from 'miniai/backprop'
import { tf, useBackend } from 'miniai/engine'

before(async () => { await useBackend() })

it('Value gives the gradients that micrograd publishes', () => {
  // github.com/karpathy/micrograd, README: g.data, a.grad, b.grad to four places
  const [a, b] = [new Value(-4), new Value(2)]
  let c = a.add(b), d = a.mul(b).add(b.pow(3))
  c = c.add(c.add(1))
  c = c.add(c.add(1).sub(a))
  d = d.add(d.mul(2).add(b.add(a).relu()))
  d = d.add(d.mul(3).add(b.sub(a).relu()))
  const f = c.sub(d).pow(2), g = f.div(2).add(new Value(10).div(f))
  g.backward()
  const texts = [g.data, a.grad, b.grad].map(x => x.toFixed(4))
  assert.deepEqual(texts, ['24.7041', '138.8338', '645.5773'])
})

it('Value.backward() called twice gives the same gradients', () => {
  const x = new Value(3), y = x.mul(x).add(x)
  y.backward()
  y.backward()
  assert.equal(x.grad, 7)
})

it('Value.backward() walks a chain of 100,000 sums without a stack overflow', () => {
  const x = new Value(1)
  let y = x
  for (let i = 0; i < 1e5; i++) y = y.add(1)
  y.backward()
  assert.equal(x.grad, 1)
})

it('Value.backward() does not walk the ways of a diamond one by one', () => {
  const x = new Value(1)
  let y = x
  for (let i = 0; i < 60; i++) y = y.add(y)
  y.backward()
  assert.equal(x.grad, 2 ** 60)
})

it('Value.relu() passes no gradient at or below zero', () => {
  for (const [at, grad] of [[-1, 0], [0, 0], [2, 1]]) {
    const x = new Value(at)
    x.relu().backward()
    assert.equal(x.grad, grad)
  }
})

it('Value prints number and gradient', () => {
  assert.equal(inspect(new Value(2)), 'Value(2, grad 0)')
})

it('slopeAlong(f, x, d) is the slope in that direction, and leaves no tensor', () => {
  const x = tf.tensor([1, 2, 3]), d = tf.tensor([1, 0, -1]), before = tf.memory().numTensors
  assert.ok(Math.abs(slopeAlong(x => x.square().sum(), x, d) + 4) < 1e-3)
  assert.equal(tf.memory().numTensors, before)
})
