import assert from 'node:assert/strict'
import {
  ActivationStats, BatchNorm, GeneralRelu, GroupNorm, Hook, initWeights, inUse, LayerNorm, lsuvInit,
} from 'miniai/activations'
import { tf, useBackend } from 'miniai/engine'
import { Learner } from 'miniai/learner'
import { randn, seed } from 'miniai/random'
import { Dataset, getDls, Linear, Module, Relu, Sequential } from 'miniai/training'
import { warnings } from './warnings'

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
  for (const groups of [3, 0, -2, 0.5, NaN]) {
    const message = `GroupNorm: 4 features make no ${groups} groups`
    assert.throws(() => new GroupNorm(groups, 4), { name: 'RangeError', message })
  }
})

it('LayerNorm, BatchNorm and GroupNorm refuse other features by name', () => {
  const refused = (o: Module, shape: number[]) => {
    const message = `${o.constructor.name}: wanted [..., 4], got [${shape}]`
    assert.throws(() => o.call(tf.zeros(shape)), { name: 'RangeError', message })
  }
  for (const o of [new LayerNorm(4), new BatchNorm(4), new GroupNorm(2, 4)]) {
    for (const shape of [[2, 3], [2, 4, 1], [8], []]) refused(o, shape)
    refused(o.train(false), [2, 1])
  }
  for (const o of [new BatchNorm(4), new GroupNorm(2, 4)]) refused(o, [4])
  close(new LayerNorm(4).call(tf.range(0, 4)).dataSync(), [-1.34164, -0.44721, 0.44721, 1.34164])
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

it('ActivationStats calls nothing dead that is not a number', async () => {
  const ds = new Dataset(tf.fill([8, 4], NaN), tf.zeros([8], 'int32'))
  const stats = new ActivationStats(o => o instanceof Relu)
  await new Learner(net(), getDls(ds, ds, { bs: 8 }), { cbs: [stats] }).fit(1)
  assert.deepEqual(stats.stats.map(o => o.dead), [[NaN], [NaN]])
})

it('ActivationStats.colorDim(i) refuses a layer that it has not seen', async () => {
  const stats = new ActivationStats(), refused = (i: number, n: number) => {
    const message = `ActivationStats.colorDim: wanted one of ${n} layers seen in a fit, got ${i}`
    assert.throws(() => stats.colorDim(i), { name: 'RangeError', message })
  }
  refused(0, 0)
  const ds = new Dataset(tf.ones([8, 4]), tf.zeros([8], 'int32'))
  await new Learner(net(), getDls(ds, ds, { bs: 8 }), { cbs: [stats] }).fit(1)
  stats.colorDim(2)
  refused(3, 3)
})

it('inUse(model, f) sets the model to use for f, and each layer back, also after an error', () => {
  const model = net(), modes = () => [...model.modules()].map(o => o.training)
  model.layers[2].training = false
  const before = modes()
  assert.deepEqual(inUse(model, modes), before.map(() => false))
  assert.deepEqual(modes(), before)
  assert.throws(() => inUse(model, () => { throw new Error('oops') }), /oops/)
  assert.deepEqual(modes(), before)
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

it('lsuvInit looks at the model in use, and leaves no hook where the batch does not fit', () => {
  seed(3)
  const model = new Sequential(new Linear(4, 8), new BatchNorm(8), new Relu(), new Linear(8, 2))
  lsuvInit(model, randn([200, 4]))
  assert.deepEqual([...model.state()['1.running_mean'].dataSync()], Array(8).fill(0))
  assert.throws(() => lsuvInit(model, randn([9, 5])), /Linear: expected \[..., 4\], got \[9,5\]/)
  assert.ok([...model.modules()].every(o => o.training && !o.hooks.length))
})

it('lsuvInit refuses items without a difference and numbers run off, naming the layer', () => {
  seed(3)
  for (const x of [tf.zeros([64, 4]), tf.ones([64, 4]), tf.fill([64, 4], NaN)]) {
    const model = net(() => new GeneralRelu()), weight = [...model.state()['0.weight'].dataSync()]
    assert.throws(() => lsuvInit(model, x),
      /^Error: lsuvInit: behind "0.weight" .*, wanted numbers that differ between items$/)
    assert.deepEqual([...model.state()['0.weight'].dataSync()], weight)
    assert.ok([...model.modules()].every(o => !o.hooks.length))
  }
})

it('lsuvInit says which layers it could not bring to mean 0 and deviation 1', () => {
  seed(3)
  const [, said] = warnings(() => lsuvInit(net(), randn([200, 4])))
  assert.equal(said.length, 2)
  assert.match(said[0], /^lsuvInit: after 20 tries, behind "0.weight" the mean is 0\.\d+, the dev/)
})

it('lsuvInit refuses a model in which it would correct nothing', () => {
  assert.throws(() => lsuvInit(new Linear(4, 2), tf.ones([3, 4])),
    { message: 'lsuvInit: wanted a model with two Linears or more, got 1' })
})
