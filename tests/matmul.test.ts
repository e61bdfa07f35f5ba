import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { tf, useBackend } from 'miniai/engine'
import { matmul, timeit } from 'miniai/matmul'
import { randn, seed } from 'miniai/random'
import { at, mnistTensors } from 'miniai/tensors'

before(async () => { await useBackend() })

it('matmul(a, b) multiplies matrices', () => {
  const c = matmul(tf.tensor2d([[1, 2, 3], [4, 5, 6]]), tf.tensor2d([[7, 8], [9, 10], [11, 12]]))
  assert.deepEqual(c.arraySync(), [[58, 64], [139, 154]])
})

it('matmul(picture, weights) of seed 42 is the product that Python finds', async () => {
  // sum(x * w for …) in Python 3.11 over MNIST's first validation picture and AS 183's numbers
  const want = [-5.0478, -10.5149, -1.4491, 1.4398, 10.8371,
    6.2662, 1.2685, -9.1319, -1.5441, -8.2893]
  const [, , xValid] = await mnistTensors()
  seed(42)
  const got = matmul(at(xValid, [0, 1]), randn([784, 10])).dataSync()
  want.forEach((w, j) => assert.ok(Math.abs(got[j] - w) < 2e-4, `${j}: ${got[j]} is not ${w}`))
})

it('matmul(a, b) says which sizes differ', () => {
  const mistake = () => matmul(tf.zeros([5, 784]), tf.zeros([10, 10]))
  const message = 'matmul: inner sizes differ, got [5,784] × [10,10]'
  assert.throws(mistake, { name: 'RangeError', message })
})

it('matmul(a, b) takes matrices only', () => {
  const message = 'matmul: wanted two matrices, got [3] × [3,1]'
  assert.throws(() => matmul(tf.zeros([3]), tf.zeros([3, 1])), { message })
  assert.throws(() => matmul(tf.zeros([2, 2, 2]), tf.zeros([2, 2])), /wanted two matrices/)
  assert.throws(() => matmul(tf.zeros([2, 2, 2]), tf.zeros([2])), /wanted two matrices/)
})

it('timeit(f) measures a run in ms and prints itself', async () => {
  let calls = 0
  const wait = () => {
    calls++
    for (const end = performance.now() + 2; performance.now() < end;);
  }
  const start = performance.now(), t = await timeit(wait, { repeats: 3, ms: 5 })
  const whole = performance.now() - start
  assert.ok(t.median >= 2 && t.median * t.runs <= whole, `${t.median} ms, ${t.runs} runs`)
  assert.ok(calls > 3 * t.runs, `${calls} calls for 3 repeats of ${t.runs} and a warm-up`)
  assert.match(inspect(t), /^\d.* ± .* a run \(mean ± deviation of 3 repeats of \d+, median .+\)$/)
})

it('timeit(f) waits for an async f', async () => {
  const t = await timeit(() => new Promise(done => setTimeout(done, 5)), { repeats: 3, ms: 5 })
  assert.ok(t.median >= 4, `${t.median} ms`)
})

it('timeit(f) gives back the tensors that f makes', async () => {
  const before = tf.memory().numTensors
  await timeit(() => tf.ones([10, 10]).add(1), { repeats: 2, ms: 1 })
  assert.equal(tf.memory().numTensors, before)
})

it('timeit(f) passes on what f throws, and leaves no scope open', async () => {
  const before = tf.memory().numTensors
  const f = () => { tf.ones([2]); throw new Error('no') }
  await assert.rejects(timeit(f), /no/)
  assert.equal(tf.memory().numTensors, before)
  const kept = tf.ones([2])
  assert.deepEqual(kept.arraySync(), [1, 1])
})
