import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { BatchNorm } from 'miniai/activations'
import {
  Changed, Classifier, Conv, ConvBlock, digitLearner, FusedNorm, jitter, loadClassifier, loadDigits,
  moved, plainnet, ResBlock, resnet, smoothed, summary, tta,
} from 'miniai/convnet'
import { tf, useBackend } from 'miniai/engine'
import { randn, seed } from 'miniai/random'
import { accuracy, crossEntropy, Dataset, lossAndGrads, Module } from 'miniai/training'

before(async () => { await useBackend() })

const close = (t: tf.Tensor, want: number[], eps = 1e-4, from = 0) => {
  const got = t.dataSync()
  want.forEach((x, k) => {
    const i = from + k
    assert.ok(Math.abs(got[i] - x) < eps, `[${i}]: ${got[i]} is not ${x}`)
  })
}
const wave = (shape: number[], f: typeof tf.sin = tf.sin) =>
  tf.reshape(f(tf.range(0, shape.reduce((a, b) => a * b))), shape)
const first = (n: number) => Array.from({ length: n }, (_, i) => i)
const set = (v: tf.Variable, f = tf.sin) => v.assign(wave(v.shape, f) as tf.Variable)
const digit = () => wave([1, 6, 6, 1])

// Values of PyTorch 2.15, with x = sin(0 … 99) as [2, 5, 5, 2] and weights cos(0, 1, …) or
// sin(0, 1, …), moved to its order of axes.
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
  for (const shape of [[1, 9, 9, 1], [9, 9, 3]]) {
    const message = `Conv: wanted [n, h, w, 3], got [${shape}]`
    assert.throws(() => new Conv(3, 8).call(tf.zeros(shape)), { name: 'RangeError', message })
  }
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

it('resnet and plainnet have the features, classes and names they are asked for', () => {
  const pictures = { n: 3, ni: 2, size: 8 }, x = tf.zeros([5, 8, 8, 2])
  const a = resnet([4, 6], pictures), b = plainnet([4, 6], pictures)
  for (const o of [a, b]) {
    assert.deepEqual(o.features(x).shape, [5, 6])
    assert.deepEqual(o.call(x).shape, [5, 3])
  }
  assert.equal('body.1.skip.weight' in resnet([4, 4, 6]).state(), false)
  const heads = Object.keys(a.params()).filter(name => name.startsWith('head'))
  assert.deepEqual(heads, ['head.weight', 'head.bias'])
  assert.ok('body.2.skip.weight' in a.state() && 'body.0.norm.running_mean' in b.state())
})

it('resnet and plainnet refuse features that are none', () => {
  for (const make of [resnet, plainnet]) for (const nfs of [[], [8, 0], [8, 2.5], [NaN]]) {
    const message = `${make.name}: wanted numbers of features ≥ 1, at least one, got [${nfs}]`
    assert.throws(() => make(nfs), { name: 'RangeError', message })
  }
})

it('Classifier refuses pictures of another size or number of channels', () => {
  const net = plainnet([4])
  for (const shape of [[2, 32, 32, 1], [2, 28, 28, 3], [2, 784]]) {
    const message = `Classifier: wanted [n, 28, 28, 1], got [${shape}]`
    assert.throws(() => net.call(tf.zeros(shape)), { name: 'RangeError', message })
    assert.throws(() => net.features(tf.zeros(shape)), { message })
  }
})

it('summary counts parameters and operations, and leaves model and memory as they were', () => {
  const net = plainnet([4, 8]), x = tf.zeros([3, 28, 28, 1]), before = tf.memory().numTensors
  const costs = summary(net, x)
  assert.equal(tf.memory().numTensors, before)
  assert.deepEqual(costs.map(o => o.params), [100, 8, 288, 16, 90])
  const flops = costs.map(o => Math.round(o.mflops * 1e6))
  assert.deepEqual(flops, [2 * 196 * 100, 2 * 784, 2 * 196 * 288, 2 * 1568, 160])
  assert.ok([...net.modules()].every(o => o.training && !o.hooks.length))
  assert.match(inspect(costs), /\nConv 5² 1 → 4 +14×14×4 +100 +0\.04\n/)
  assert.match(inspect(costs), /all +502 +0\.16$/)
})

it('summary leaves no hook where pictures do not fit, and a frozen layer frozen', () => {
  const net = plainnet([4, 8]), modes = () => [...net.modules()].map(o => o.training)
  net.body[0].train(false)
  const before = modes()
  assert.throws(() => summary(net, tf.zeros([3, 28, 28, 3])), /Classifier: wanted/)
  assert.deepEqual(modes(), before)
  summary(net, tf.zeros([3, 28, 28, 1]))
  assert.deepEqual(modes(), before)
  assert.ok([...net.modules()].every(o => !o.hooks.length))
})

it('moved turns and enlarges as PyTorch’s grid_sample does', () => {
  const o = moved(digit(), [{ turn: 20, scale: 1.2 }])
  close(o, [-0.286229, 0.301125, 0.813714, 0.817469, 0.200529, -0.438089, -0.435132], 1e-5)
  close(o, [0.950049, 0.729613, 0.072031], 1e-5, 14)
  close(o.sum(), [7.103926], 1e-4)
})

it('moved by whole pixels and back is the picture where it stayed inside', () => {
  const x = tf.pad(digit(), [[0, 0], [3, 3], [3, 3], [0, 0]])
  const there = moved(x, [{ right: 3, down: -2 }])
  assert.notDeepEqual(there.dataSync(), x.dataSync())
  assert.deepEqual(moved(there, [{ right: -3, down: 2 }]).dataSync(), x.dataSync())
  close(moved(x, [{ right: 40 }]), Array(144).fill(0), 1e-9)
})

it('moved(x, moves) refuses another number of moves and colour', () => {
  const none = 'moved: wanted [0, h, w, 1] for 0 moves, got [1,6,6,1]'
  assert.throws(() => moved(digit(), []), { message: none })
  const one = 'moved: wanted [1, h, w, 1] for 1 moves, got [1,6,6,3]'
  assert.throws(() => moved(tf.zeros([1, 6, 6, 3]), [{}]), { message: one })
})

it('jitter is the same after the same seed, and another for each picture', () => {
  const x = tf.tile(digit(), [4, 1, 1, 1]), made = () => {
    seed(3)
    return jitter(x, { erase: 3 }).dataSync()
  }
  const all = made()
  assert.deepEqual(all, made())
  assert.notDeepEqual(all.slice(0, 36), all.slice(36, 72))
  assert.deepEqual(jitter(x, { shift: 0, turn: 0, scale: 0 }).dataSync(), x.dataSync())
})

it('jitter erases pieces of at most the size asked for, and leaves no other tensor', () => {
  seed(5)
  const x = tf.ones([200, 6, 6, 1]), before = tf.memory().numTensors
  const o = jitter(x, { shift: 0, turn: 0, scale: 0, erase: 2 })
  assert.equal(tf.memory().numTensors, before + 1)
  const gone = [...tf.sub(36, tf.sum(o, [1, 2, 3])).dataSync()]
  assert.deepEqual([...new Set(gone)].sort(), [0, 1, 2, 4])
})

it('Changed gives changed pictures with their labels, and disposes of the old ones', () => {
  const labels = tf.tensor1d([5, 6, 7, 8], 'int32')
  const ds = new Changed(new Dataset(wave([4, 2, 2, 1]), labels), x => tf.mul(x, 2))
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

const pixels = (x: tf.Tensor, at: number) =>
  tf.mul(tf.reshape(tf.slice(x, [0, 1, at, 0], [-1, 1, 2, 1]), [-1, 2]), 3)
class Shift extends Module {
  forward(x: tf.Tensor): tf.Tensor { return pixels(x, 1) }
}

it('tta is the mean of the probabilities over moves, in batches, and leaves one tensor', () => {
  const x = wave([501, 4, 4, 1]), net = new Shift(), before = tf.memory().numTensors
  const o = tta(net, x, [{}, { right: 1 }])
  assert.equal(tf.memory().numTensors, before + 1)
  assert.deepEqual(o.shape, [501, 2])
  const want = tf.tidy(() => {
    const p = [1, 0].map(at => tf.softmax(pixels(x, at)))
    return tf.div(tf.add(p[0], p[1]), 2)
  })
  close(tf.max(tf.abs(tf.sub(o, want))), [0], 1e-5)
})

it('tta refuses what is no batch of pictures and no move, and leaves model and memory', () => {
  const net = plainnet([4]), modes = () => [...net.modules()].map(o => o.training)
  net.body[0].train(false)
  const mode = modes(), before = tf.memory().numTensors
  const refused = (x: tf.Tensor, message: string, moves?: {}[]) => {
    assert.throws(() => tta(net, x, moves), { name: 'RangeError', message })
    x.dispose()
    assert.equal(tf.memory().numTensors, before)
    assert.deepEqual(modes(), mode)
  }
  refused(tf.zeros([0, 28, 28, 1]), 'tta: wanted [n, h, w, 1] with n ≥ 1, got [0,28,28,1]')
  refused(tf.zeros([2, 784]), 'tta: wanted [n, h, w, 1] with n ≥ 1, got [2,784]')
  refused(tf.zeros([2, 28, 28, 3]), 'tta: wanted [n, h, w, 1] with n ≥ 1, got [2,28,28,3]')
  refused(tf.zeros([2, 28, 28, 1]), 'tta: wanted at least one move, got none', [])
  refused(tf.zeros([501, 8, 8, 1]), 'Classifier: wanted [n, 28, 28, 1], got [500,8,8,1]')
  const x = tf.zeros([1, 28, 28, 1])
  tta(net, x)
  assert.deepEqual(modes(), mode)
})

it('digitLearner trains pictures of other sizes, with batches of 128 and no rest', async () => {
  seed(1)
  const x = randn([300, 8, 8, 1]), isLight = tf.greater(tf.mean(x, [1, 2, 3]), 0)
  const ds = new Dataset(x, tf.cast(isLight, 'int32') as tf.Tensor)
  const net = plainnet([4, 4], { n: 2, size: 8 }), learn = digitLearner(net, ds)
  assert.equal(learn.dls.train.length, 2)
  const before = net.head.weight.dataSync().slice()
  await learn.fit(1)
  assert.notDeepEqual(net.head.weight.dataSync(), before)
})

it('loadClassifier refuses a name that it does not know', () => {
  for (const name of ['nope', 'toString']) {
    const message = `loadClassifier: wanted "digits" or "judge", got "${name}"`
    assert.throws(() => loadClassifier(name as 'digits'), { message })
  }
})

it('loadClassifier reads two networks, each right for 99.4 % of the digits', async function () {
  this.timeout(120000)
  const { test } = await loadDigits(), [x, y] = test.batch(first(10000))
  const [digits, judge] = (['digits', 'judge'] as const).map(name => loadClassifier(name))
  for (const net of [digits, judge]) {
    assert.ok(net instanceof Classifier && !net.training)
    assert.ok(accuracy(tta(net, x, [{}]), y).dataSync()[0] >= 0.994)
  }
  const count = (o: Module) => Object.values(o.params()).reduce((n, v) => n + v.size, 0)
  assert.deepEqual([digits, judge].map(count), [283642, 140970])
  assert.ok(digits.body.some(o => o instanceof ResBlock))
  assert.ok(judge.body.every(o => o instanceof ConvBlock))
  assert.deepEqual(digits.features(tf.slice(x, [0], [7])).shape, [7, 128])
})

it('FusedNorm gives what BatchNorm gives, and its gradients, and refuses other shapes', () => {
  seed(2)
  const norms = [new BatchNorm(4), new FusedNorm(4)], w = [randn([4]), randn([4])]
  const x = tf.add(tf.mul(randn([6, 3, 3, 4]), 3), 2), dy = randn(x.shape)
  const slope = (o: Module) => tf.grad(x => tf.sum(tf.mul(o.call(x), dy)))(x)
  const [want, got] = norms.map(o => {
    o.weight.assign(w[0] as tf.Variable)
    o.bias.assign(w[1] as tf.Variable)
    const f = () => tf.sum(tf.mul(o.call(x), dy)), { grads } = lossAndGrads(f, o.params())
    const learned = [o.call(x), slope(o), grads.weight, grads.bias]
    return [...learned, o.running_mean, o.running_var, o.train(false).call(x)]
  })
  want.forEach((t, i) => close(got[i], [...t.dataSync()], 1e-3))
  assert.deepEqual(Object.keys(norms[1].state()), Object.keys(norms[0].state()))
  // in use the running moments are no functions of x
  close(slope(norms[1]), [...slope(norms[0]).dataSync()], 1e-3)
  for (const shape of [[3, 4], [2, 3, 3, 5], [2, 3, 3, 1]]) {
    const message = `FusedNorm: wanted [n, h, w, 4], got [${shape}]`
    assert.throws(() => norms[1].call(tf.ones(shape)), { name: 'RangeError', message })
  }
})
