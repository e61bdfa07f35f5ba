import assert from 'node:assert/strict'
import {
  ActivationStats, BatchNorm, GeneralRelu, GroupNorm, Hook, initWeights, LayerNorm, lsuvInit,
} from 'miniai/activations'
import { tf, useBackend } from 'miniai/engine'
import { Learner } from 'miniai/learner'
import { randn, seed } from 'miniai/random'
import { Dataset, getDls, Linear, Module, Relu, Sequential } from 'miniai/training'

before(async () => { await useBackend() })

const close = (a: ArrayLike<number>, b: number[], eps = 1e-4) =>
  b.forEach((x, i) => assert.ok(Math.abs(a[i] - x) < eps, `[${i}]: ${a[i]} is not ${x}`))
const sines = (shape: number[]) => tf.sin(tf.range(0, 24)).reshape(shape)

it('LayerNorm, BatchNorm and GroupNorm give what PyTorch gives', () => {
  // PyTorch 2.15: x = sin(0 … 23) as [2, 3, 4]; LayerNorm(4), BatchNorm1d(4) of [6, 4],
  // GroupNorm(2, 4) over the middle axis too
  const x = sines([2, 3, 4])
  close(new LayerNorm(4).call(x).dataSync(),
    [-1.16434, 0.90715, 1.07413, -0.81694, -0.67739, -1.00163])
  close(new GroupNorm(2, 4).call(x).dataSync(),
    [-0.11843, 1.01573, 1.39727, 0.24143, -1.13848, -1.41091])
  const bn = new BatchNorm(4)
  close(bn.call(sines([6, 4])).dataSync(), [-0.07919, 0.96742, 1.2699, 0.277, -1.19936, -1.37639])
  close(bn.running_mean.dataSync(), [0.00535, 0.00983, 0.00528, -0.00413])
  close(bn.running_var.dataSync(), [0.95477, 0.9708, 0.95459, 0.95205])
})

it('BatchNorm normalises pictures by feature, and in use by what it has kept', () => {
  const bn = new BatchNorm(2), x = sines([2, 3, 2, 2])
  const { mean, variance } = tf.moments(bn.call(x), [0, 1, 2])
  close(mean.dataSync(), [0, 0])
  close(variance.dataSync(), [1, 1], 1e-3)
  const kept = bn.running_mean.dataSync().slice()
  bn.train(false).call(x)
  assert.deepEqual(bn.running_mean.dataSync(), kept)
  assert.deepEqual(Object.keys(bn.params()), ['weight', 'bias'])
  assert.deepEqual(Object.keys(bn.state()), ['weight', 'bias', 'running_mean', 'running_var'])
})

it('GroupNorm refuses groups that do not divide the features', () => {
  const message = 'GroupNorm: 4 features make no 3 groups'
  assert.throws(() => new GroupNorm(3, 4), { name: 'RangeError', message })
})

it('Hook sees outputs until it is removed, and leaves other hooks', () => {
  const l = new Linear(2, 3), notes: string[] = []
  const a = new Hook(l, () => { notes.push('a') })
  new Hook(l, (out, layer) => { notes.push(`b ${out.shape} ${layer === l}`) })
  l.call(tf.ones([4, 2]))
  a.remove()
  a.remove()
  l.call(tf.ones([1, 2]))
  assert.deepEqual(notes, ['a', 'b 4,3 true', 'b 1,3 true'])
})

const net = (act: () => Module = () => new Relu()) =>
  new Sequential(new Linear(4, 8), act(), new Linear(8, 8), act(), new Linear(8, 2))

it('ActivationStats keeps a number for each layer and batch, and removes its hooks', async () => {
  seed(1)
  const x = randn([40, 4]), ds = new Dataset(x, x.sum(1).greater(0).toInt())
  const model = net(), stats = new ActivationStats()
  await new Learner(model, getDls(ds, ds, { bs: 8 }), { cbs: [stats] }).fit(2)
  assert.equal(stats.stats.length, 3)
  for (const { means, stds, dead, hists } of stats.stats) {
    assert.deepEqual([means, stds, dead, hists].map(o => o.length), [10, 10, 10, 10])
    assert.ok([...means, ...stds].every(Number.isFinite))
  }
  assert.equal(stats.stats[0].hists[0].reduce((a, b) => a + b), 8 * 8)
  assert.ok([...model.modules()].every(o => o.hooks.length === 0))
})

it('ActivationStats finds the dead units of a ReLU', async () => {
  const ds = new Dataset(tf.ones([8, 4]), tf.zeros([8], 'int32'))
  const model = net(), stats = new ActivationStats(o => o instanceof Relu)
  for (const o of model.modules()) {
    if (o instanceof Linear) o.bias!.assign(tf.fill([o.nf], -100) as tf.Variable)
  }
  await new Learner(model, getDls(ds, ds, { bs: 8 }), { cbs: [stats] }).fit(1)
  assert.deepEqual(stats.stats.map(o => o.dead), [[1], [1]])
})

it('initWeights gives Linears the deviation √(2 / ((1 + leak²) ni))', () => {
  const l = initWeights(new Linear(500, 400), { leak: 0.5 })
  close(tf.moments(l.weight as tf.Tensor).variance.dataSync(), [2 / (1.25 * 500)], 1e-4)
})

it('GeneralRelu leaks and shifts', () => {
  const xs = tf.tensor([-1, 0, 1])
  close(new GeneralRelu({ leak: 0.2, sub: 0.1 }).call(xs).dataSync(), [-0.3, -0.1, 0.9])
  close(new GeneralRelu({ leak: 0, sub: 0 }).call(xs).dataSync(), [0, 0, 1])
})

it('lsuvInit(model, xb) gives each activation mean 0 and deviation 1, and leaves no tensor', () => {
  seed(3)
  const model = net(() => new GeneralRelu()), x = randn([200, 4]), before = tf.memory().numTensors
  lsuvInit(model, x)
  assert.equal(tf.memory().numTensors, before)
  for (const o of model.modules()) {
    if (!(o instanceof GeneralRelu)) continue
    const hook = new Hook(o, out => {
      const { mean, variance } = tf.moments(out)
      close([mean.dataSync()[0], variance.dataSync()[0]], [0, 1], 0.01)
    })
    model.call(x)
    hook.remove()
  }
})
