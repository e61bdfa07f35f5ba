import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { BatchNorm } from 'miniai/activations'
import { Changed, Classifier, Conv, ConvBlock, digitLearner, FusedNorm, jitter, loadClassifier, loadDigits, moved, plainnet, ResBlock, resnet,
  smoothed, summary, tta } from 'miniai/convnet'
import { tf, useBackend } from 'miniai/engine'
import { randn, seed } from 'miniai/random'
import { accuracy, crossEntropy, Dataset, lossAndGrads, Module } from 'miniai/training'

before(async () => { await useBackend() })

const close = (t: tf.Tensor, want: number[], eps = 1e-4, from = 0) => {
  const got = t.dataSync()
  want.forEach((x, i) => assert.ok(Math.abs(got[from + i] - x) < eps, `[${from + i}]: ${got[from + i]} is not ${x}`))
}
const wave = (shape: number[], f: typeof tf.sin = tf.sin) => tf.reshape(f(tf.range(0, shape.reduce((a, b) => a * b))), shape)
const set = (v: tf.Variable, f = tf.sin) => v.assign(wave(v.shape, f) as tf.Variable)
const digit = () => wave([1, 6, 6, 1])

// Values of PyTorch 2.15, with x = sin(0 … 99) as [2, 5, 5, 2] and weights cos(0, 1, …) or sin(0, 1, …), moved to its order of axes.
it('Conv gives what PyTorch gives, at stride 1 and 2', () => {
  const x = wave([2, 5, 5, 2]), [one, two] = [1, 2].map(stride => new Conv(2, 3, { stride }))
  for (const o of [one, two]) set(o.weight, tf.cos)
  const a = one.call(x), b = two.call(x)
  assert.deepEqual([a.shape, b.shape], [[2, 5, 5, 3], [2, 3, 3, 3]])
  close(a, [-0.369264, 0.329646, 0.725481], 1e-4, a.size - 3)
  close(b, [0.240157, -0.197575, -0.453658, 0.027298, -0.234168, -0.280341])
  close(tf.stack([a.sum(), b.sum()]), [-2.151424, -2.178348], 1e-3)
})

it('Conv begins with bias 0 and weights of deviation √(2 / (ks · ks · ni))', () => {
  seed(1)
  const conv = new Conv(16, 64)
  close(tf.sqrt(tf.mean(tf.square(conv.weight))), [Math.sqrt(2 / 144)], 2e-3)
  close(tf.max(tf.abs(conv.bias!)), [0], 1e-9)
  assert.equal(new Conv(16, 64, { bias: false }).bias, null)
})

it('Conv refuses other pictures and even windows', () => {
  assert.throws(() => new Conv(3, 8).call(tf.zeros([1, 9, 9, 1])), { name: 'RangeError', message: 'Conv: wanted [n, h, w, 3], got [1,9,9,1]' })
  assert.throws(() => new Conv(3, 8).call(tf.zeros([9, 9, 3])), { message: 'Conv: wanted [n, h, w, 3], got [9,9,3]' })
  assert.throws(() => new Conv(3, 8, { ks: 4 }), { message: 'Conv: wanted an odd ks, got 4' })
})

it('ResBlock gives what PyTorch gives, halving an odd size and adding features', () => {
  const block = new ResBlock(2, 3, 2), x = wave([2, 5, 5, 2])
  set(block.first.conv.weight)
  set(block.conv.weight, tf.cos)
  set(block.skip!.weight)
  const o = block.call(x)
  assert.deepEqual(o.shape, [2, 3, 3, 3])
  close(o, [0, 0, 0, 0, 0, 0, 0, 0.66956, 1.390918])
  close(o.sum(), [22.012857], 1e-3)
})

it('resnet and plainnet have the features and classes they are asked for, and names as they are stored', () => {
  const a = resnet([4, 6], { n: 3, ni: 2, size: 8 }), b = plainnet([4, 6], { n: 3, ni: 2, size: 8 }), x = tf.zeros([5, 8, 8, 2])
  for (const o of [a, b]) {
    assert.deepEqual(o.features(x).shape, [5, 6])
    assert.deepEqual(o.call(x).shape, [5, 3])
  }
  assert.ok('body.1.skip.weight' in resnet([4, 4, 6]).state() === false)
  assert.deepEqual(Object.keys(a.params()).filter(name => name.startsWith('head')), ['head.weight', 'head.bias'])
  assert.ok('body.2.skip.weight' in a.state() && 'body.0.norm.running_mean' in b.state())
})

it('Classifier refuses pictures of another size or number of channels', () => {
  const net = plainnet([4]), say = (got: string) => ({ name: 'RangeError', message: `Classifier: wanted [n, 28, 28, 1], got [${got}]` })
  assert.throws(() => net.call(tf.zeros([2, 32, 32, 1])), say('2,32,32,1'))
  assert.throws(() => net.features(tf.zeros([2, 28, 28, 3])), say('2,28,28,3'))
  assert.throws(() => net.features(tf.zeros([2, 784])), say('2,784'))
})

it('summary counts parameters and operations, and leaves model and memory as they were', () => {
  const net = plainnet([4, 8]), x = tf.zeros([3, 28, 28, 1]), before = tf.memory().numTensors
  const costs = summary(net, x)
  assert.equal(tf.memory().numTensors, before)
  assert.deepEqual(costs.map(o => o.params), [100, 8, 288, 16, 90])
  assert.deepEqual(costs.map(o => Math.round(o.mflops * 1e6)), [2 * 196 * 100, 2 * 784, 2 * 196 * 288, 2 * 1568, 160])
  assert.ok([...net.modules()].every(o => o.training && !o.hooks.length))
  assert.match(inspect(costs), /\nConv 5² 1 → 4 +14×14×4 +100 +0\.04\n/)
  assert.match(inspect(costs), /all +502 +0\.16$/)
})

it('moved turns and enlarges as PyTorch’s grid_sample does', () => {
  const o = moved(digit(), [{ turn: 20, scale: 1.2 }])
  close(o, [-0.286229, 0.301125, 0.813714, 0.817469, 0.200529, -0.438089, -0.435132, 0.381474], 1e-5)
  close(o, [0.950049, 0.729613, 0.072031], 1e-5, 14)
  close(o.sum(), [7.103926], 1e-4)
})

it('moved by whole pixels and back is the picture where it stayed inside', () => {
  const x = tf.pad(digit(), [[0, 0], [3, 3], [3, 3], [0, 0]]), there = moved(x, [{ right: 3, down: -2 }])
  assert.notDeepEqual(there.dataSync(), x.dataSync())
  assert.deepEqual(moved(there, [{ right: -3, down: 2 }]).dataSync(), x.dataSync())
  close(moved(x, [{ right: 40 }]), Array(144).fill(0), 1e-9)
})

it('moved(x, moves) refuses another number of moves and colour', () => {
  assert.throws(() => moved(digit(), []), { message: 'moved: wanted [0, h, w, 1] for 0 moves, got [1,6,6,1]' })
  assert.throws(() => moved(tf.zeros([1, 6, 6, 3]), [{}]), { message: 'moved: wanted [1, h, w, 1] for 1 moves, got [1,6,6,3]' })
})

it('jitter is the same after the same seed, differs between pictures, and without any change is none', () => {
  const x = tf.tile(digit(), [4, 1, 1, 1]), made = () => {
    seed(3)
    return jitter(x, { erase: 3 }).dataSync()
  }
  const all = made()
  assert.deepEqual(all, made())
  assert.notDeepEqual(all.slice(0, 36), all.slice(36, 72))
  assert.deepEqual(jitter(x, { shift: 0, turn: 0, scale: 0 }).dataSync(), x.dataSync())
})

it('jitter erases pieces of at most the size asked for, and with tensors leaves nothing behind', () => {
  seed(5)
  const x = tf.ones([200, 6, 6, 1]), before = tf.memory().numTensors
  const o = jitter(x, { shift: 0, turn: 0, scale: 0, erase: 2 })
  assert.equal(tf.memory().numTensors, before + 1)
  const gone = [...tf.sub(36, tf.sum(o, [1, 2, 3])).dataSync()]
  assert.deepEqual([...new Set(gone)].sort(), [0, 1, 2, 4])
})

it('Changed gives batches and items of changed pictures with their labels, and disposes of the old ones', () => {
  const ds = new Changed(new Dataset(wave([4, 2, 2, 1]), tf.tensor1d([5, 6, 7, 8], 'int32')), x => tf.mul(x, 2))
  assert.equal(ds.length, 4)
  const before = tf.memory().numTensors, [x, y] = ds.batch([3, 0]), [item, label] = ds.at(3)
  assert.equal(tf.memory().numTensors, before + 4)
  assert.deepEqual([x.shape, item.shape, label.shape], [[2, 2, 2, 1], [2, 2, 1], []])
  close(x, [12, 13, 14, 15, 0, 1].map(v => 2 * Math.sin(v)))
  assert.deepEqual([...y.dataSync(), label.dataSync()[0]], [8, 5, 8])
  assert.equal(new Changed(new Dataset(x, y), x => x).batch([0])[0].isDisposed, false)
})

it('smoothed(eps) is PyTorch’s cross_entropy with label_smoothing', () => {
  const preds = tf.tensor2d([[1, 2, 0.5], [0, -1, 3]]), targ = tf.tensor1d([1, 2], 'int32')
  close(smoothed()(preds, targ), [0.42346], 1e-5)
  close(smoothed(0.3)(preds, targ), [0.740126], 1e-5)
  close(smoothed(0)(preds, targ), [crossEntropy(preds, targ).dataSync()[0]], 1e-6)
})

class Shift extends Module {
  forward(x: tf.Tensor): tf.Tensor { return tf.mul(tf.reshape(tf.slice(x, [0, 1, 1, 0], [-1, 1, 2, 1]), [-1, 2]), 3) }
}

it('tta is the mean of the probabilities over moves, in batches, and leaves one tensor behind', () => {
  const x = wave([501, 4, 4, 1]), net = new Shift(), before = tf.memory().numTensors
  const o = tta(net, x, [{}, { right: 1 }])
  assert.equal(tf.memory().numTensors, before + 1)
  assert.deepEqual(o.shape, [501, 2])
  const want = tf.tidy(() => {
    const p = [1, 0].map(at => tf.softmax(tf.mul(tf.reshape(tf.slice(x, [0, 1, at, 0], [-1, 1, 2, 1]), [-1, 2]), 3)))
    return tf.div(tf.add(p[0], p[1]), 2)
  })
  close(tf.max(tf.abs(tf.sub(o, want))), [0], 1e-5)
})

it('digitLearner trains pictures of other sizes, with batches of 128 and no rest', async () => {
  seed(1)
  const x = randn([300, 8, 8, 1]), ds = new Dataset(x, tf.cast(tf.greater(tf.mean(x, [1, 2, 3]), 0), 'int32') as tf.Tensor)
  const net = plainnet([4, 4], { n: 2, size: 8 }), learn = digitLearner(net, ds)
  assert.equal(learn.dls.train.length, 2)
  const before = net.head.weight.dataSync().slice()
  await learn.fit(1)
  assert.notDeepEqual(net.head.weight.dataSync(), before)
})

it('loadClassifier reads two networks, each right for 99.4 % of the test digits or more', async function () {
  this.timeout(120000)
  const { test } = await loadDigits(), [x, y] = test.batch(Array.from({ length: 10000 }, (_, i) => i))
  const [digits, judge] = (['digits', 'judge'] as const).map(name => loadClassifier(name))
  for (const net of [digits, judge]) {
    assert.ok(net instanceof Classifier && !net.training)
    assert.ok(accuracy(tta(net, x, [{}]), y).dataSync()[0] >= 0.994)
  }
  assert.deepEqual([digits, judge].map(o => Object.values(o.params()).reduce((n, v) => n + v.size, 0)), [283642, 140970])
  assert.ok(digits.body.some(o => o instanceof ResBlock) && judge.body.every(o => o instanceof ConvBlock))
  assert.deepEqual(digits.features(tf.slice(x, [0], [7])).shape, [7, 128])
})

it('FusedNorm gives what BatchNorm gives, with all gradients, and refuses what is no picture', () => {
  seed(2)
  const norms = [new BatchNorm(4), new FusedNorm(4)], w = [randn([4]), randn([4])], x = tf.add(tf.mul(randn([6, 3, 3, 4]), 3), 2), dy = randn(x.shape)
  const [want, got] = norms.map(o => {
    o.weight.assign(w[0] as tf.Variable)
    o.bias.assign(w[1] as tf.Variable)
    const f = () => tf.sum(tf.mul(o.call(x), dy)), { grads } = lossAndGrads(f, o.params())
    const dx = tf.grad(x => tf.sum(tf.mul(o.call(x), dy)))(x)
    return [o.call(x), dx, grads.weight, grads.bias, o.running_mean, o.running_var, o.train(false).call(x)]
  })
  want.forEach((t, i) => close(got[i], [...t.dataSync()], 1e-3))
  assert.deepEqual(Object.keys(norms[1].state()), Object.keys(norms[0].state()))
  const inUse = tf.grad(x => tf.sum(tf.mul(norms[1].call(x), dy)))(x) // the running moments are no functions of x
  close(inUse, [...tf.grad(x => tf.sum(tf.mul(norms[0].call(x), dy)))(x).dataSync()], 1e-3)
  assert.throws(() => norms[1].call(tf.ones([3, 4])), { message: 'FusedNorm: wanted [n, h, w, 4], got [3,4]' })
})
