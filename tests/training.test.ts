import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { tf, useBackend } from 'miniai/engine'
import { rand, seed } from 'miniai/random'
import {
  accuracy, Adam, Batch, crossEntropy, DataLoader, Dataset, evaluate, getDls, lossAndGrads,
  Linear, Module, Momentum, Optimizer, Params, permutation, Relu, RMSProp, Sequential, SGD, Source,
} from 'miniai/training'

before(async () => { await useBackend() })

const close = (a: ArrayLike<number>, b: number[], eps = 1e-5) =>
  b.forEach((x, i) => assert.ok(Math.abs(a[i] - x) < eps, `[${i}]: ${a[i]} is not ${x}`))

it('crossEntropy(preds, targ) is right and finite for outputs of a thousand', () => {
  const preds = tf.tensor([[1000, 0], [0, 1000]])
  close(crossEntropy(preds, tf.tensor([0, 0], [2], 'int32')).dataSync(), [500])
})

it('crossEntropy(preds, targ) of a label that there is not is NaN, not a perfect score', () => {
  for (const label of [-1, 2]) {
    const loss = crossEntropy(tf.zeros([2, 2]), tf.tensor([0, label], [2], 'int32'))
    assert.ok(Number.isNaN(loss.dataSync()[0]))
  }
})

it('crossEntropy(preds, targ) says which shapes it wants', () => {
  const message = 'crossEntropy: wanted [n, c] and [n], got [3,10] and [3,1]'
  assert.throws(() => crossEntropy(tf.zeros([3, 10]), tf.zeros([3, 1])), { message })
})

it('accuracy(preds, targ) takes labels as floats too', () => {
  close(accuracy(tf.tensor([[1, 2], [2, 1]]), tf.tensor([1, 1])).dataSync(), [0.5])
})

class Tied extends Module {
  first = new Linear(4, 4)
  blocks = [new Linear(4, 4), new Relu(), new Sequential(new Linear(4, 2, { bias: false }))]
  again = this.first
  mean = tf.variable(tf.zeros([2]), false)
  forward(x: tf.Tensor) { return x }
}

it('Module names its variables by the way to them, learns each once, keeps the others', () => {
  const m = new Tied()
  assert.deepEqual(Object.keys(m.params()),
    ['first.weight', 'first.bias', 'blocks.0.weight', 'blocks.0.bias', 'blocks.2.0.weight'])
  assert.deepEqual(Object.keys(m.state()).slice(-3), ['again.weight', 'again.bias', 'mean'])
  m.train(false)
  assert.ok([...m.modules()].every(o => !o.training))
  m.dispose()
})

it('Module prints layers and parameters in at most six lines', () => {
  const m = new Sequential(...Array.from({ length: 9 }, () => new Linear(2, 3)))
  const lines = inspect(m).split('\n')
  assert.equal(lines.length, 6)
  assert.deepEqual([lines[0], lines[1]], ['Sequential: 81 parameters', '  Linear 2 → 3'])
})

it('lossAndGrads(f, params) leaves out a parameter that f does not use', () => {
  const [a, b] = [tf.variable(tf.scalar(2)), tf.variable(tf.scalar(3))]
  const { loss, grads } = lossAndGrads(() => a.square(), { a, b })
  close([...loss.dataSync(), ...grads.a.dataSync()], [4, 4])
  assert.deepEqual(Object.keys(grads), ['a'])
})

/** Three steps in the valley 0.05 x² + y² from [-4, 1.5]. */
function walk(make: (params: Params) => Optimizer) {
  const p = tf.variable(tf.tensor([-4, 1.5])), opt = make({ p })
  for (let i = 0; i < 3; i++) {
    tf.tidy(() => opt.step(lossAndGrads(() => p.square().mul([0.05, 1]).sum(), { p }).grads))
  }
  return p.dataSync()
}

it('SGD, Momentum, RMSProp and Adam walk as PyTorch does', () => {
  // PyTorch 2.15: SGD(lr=.9), SGD(lr=.09, momentum=.9), RMSprop(lr=.1),
  // AdamW(lr=.4, weight_decay=.1)
  close(walk(ps => new SGD(ps, { lr: 0.9 })), [-3.014284, -0.768])
  close(walk(ps => new Momentum(ps, { lr: 0.9 })), [-3.799592, 0.209832])
  close(walk(ps => new RMSProp(ps, { lr: 0.1 })), [-1.962722, 0.066693])
  close(walk(ps => new Adam(ps, { lr: 0.4, wd: 0.1 })), [-2.396581, 0.217418])
})

it('Optimizer.step(grads, lr) takes the rate as a tensor, and leaves no tensor', () => {
  const p = tf.variable(tf.tensor([1])), opt = new Adam({ p }, { lr: 1 })
  const g = tf.tensor([3]), lr = tf.scalar(0.25), before = tf.memory().numTensors
  opt.step({ p: g }, lr)
  close(p.dataSync(), [0.75])
  assert.equal(tf.memory().numTensors, before)
})

it('permutation(n) holds each number once and comes again from the same seed', () => {
  seed(3)
  const a = permutation(1000)
  seed(3)
  assert.deepEqual(permutation(1000), a)
  assert.deepEqual([...a].sort((x, y) => x - y), [...Array(1000).keys()])
  assert.deepEqual([...permutation(0)], [])
})

const counted = (n: number) =>
  new Dataset(tf.range(0, 2 * n).reshape([n, 2]), tf.range(0, n, 1, 'int32'))

async function labels(batches: AsyncIterable<Batch>) {
  const all: number[][] = []
  for await (const [x, y] of batches) {
    assert.equal(x.shape[0], y.shape[0])
    all.push([...y.dataSync()])
    tf.dispose([x, y])
  }
  return all
}

it('DataLoader gives rows with their labels, the rest last; dropLast leaves it out', async () => {
  const ds = counted(7), dl = new DataLoader(ds, { bs: 3 })
  assert.deepEqual(await labels(dl), [[0, 1, 2], [3, 4, 5], [6]])
  assert.equal(dl.length, 3)
  const short = new DataLoader(ds, { bs: 3, dropLast: true })
  assert.deepEqual(await labels(short), [[0, 1, 2], [3, 4, 5]])
  assert.equal(short.length, 2)
  const [x] = ds.batch([5])
  assert.deepEqual([...x.dataSync()], [10, 11])
  assert.equal(ds.at(2)[1].dataSync()[0], 2)
})

it('DataLoader shuffles all items anew each epoch', async () => {
  const dl = new DataLoader(counted(50), { bs: 8, shuffle: true })
  const [a, b] = [(await labels(dl)).flat(), (await labels(dl)).flat()]
  assert.notDeepEqual(a, b)
  assert.deepEqual(a.sort((x, y) => x - y), [...Array(50).keys()])
})

it('DataLoader.batches(k) goes on with batch k for any prefetch, random items too', async () => {
  const source: Source = { length: 20, at: i => [tf.scalar(rand()), tf.scalar(i)] }
  const values = async (prefetch: number, from: number) => {
    seed(5)
    const all: number[] = []
    const dl = new DataLoader(source, { bs: 3, shuffle: true, prefetch })
    for await (const [x] of dl.batches(from)) {
      all.push(...x.dataSync())
      rand() // as a step with dropout would
    }
    return all
  }
  const whole = await values(0, 0)
  assert.equal(new Set(whole).size, 20)
  for (const prefetch of [0, 1, 4, 100]) assert.deepEqual(await values(prefetch, 0), whole)
  assert.deepEqual(await values(2, 4), whole.slice(12))
})

it('DataLoader left early gives back what it had made ahead', async () => {
  const dl = new DataLoader(counted(50), { bs: 5, prefetch: 3 }), before = tf.memory().numTensors
  for await (const batch of dl) {
    tf.dispose(batch)
    break
  }
  await new Promise(done => setImmediate(done))
  assert.equal(tf.memory().numTensors, before)
})

it('DataLoader passes on what an item throws, though it was made ahead', async () => {
  const source = { length: 4, at: async (i: number): Promise<Batch> => {
    if (i === 3) throw new Error('no item 3')
    return [tf.scalar(i), tf.scalar(i)]
  } }
  await assert.rejects(labels(new DataLoader(source, { bs: 1, prefetch: 3 })), /no item 3/)
})

it('DataLoader and Dataset refuse sizes that cannot be', () => {
  assert.throws(() => new DataLoader(counted(3), { bs: 0 }), /wanted a batch size ≥ 1, got 0/)
  const make = () => new Dataset(tf.zeros([3, 2]), tf.zeros([4]))
  assert.throws(make, /lengths differ, got \[3,2\] and \[4\]/)
})

it('a DataLoader gives each batch a seed of its own that does not follow the last one', async () => {
  seed(3)
  const source = { length: 24, at: (): Batch => [tf.scalar(rand()), tf.scalar(0)] }
  const firsts: number[] = []
  for await (const [x] of new DataLoader(source, { bs: 2, shuffle: true })) firsts.push(x.dataSync()[0])
  const steps = firsts.slice(1).map((x, i) => (x - firsts[i] + 1) % 1)
  assert.ok(Math.max(...steps) - Math.min(...steps) > 0.3, `steps ${steps}`)
})

it('a DataLoader without a batch, and prefetch that is no count, are refused', () => {
  const few = counted(5)
  const empty = new DataLoader(few, { bs: 8, dropLast: true })
  assert.throws(() => empty.batches(), /there is no batch: 5 items, batches of 8, none smaller$/)
  for (const prefetch of [-1, NaN, 0.5]) {
    assert.throws(() => new DataLoader(few, { prefetch }), /wanted prefetch ≥ 0, got/)
  }
})

it('Dataset refuses numbers it has not, accuracy shapes that would be stretched', () => {
  for (const i of [5, -1, NaN]) assert.throws(() => counted(5).at(i), /wanted 0 … 4, got/)
  assert.throws(() => accuracy(tf.ones([4, 3]), tf.ones([4, 1])), /got \[4,3\] and \[4,1\]/)
})

it('evaluate(model, loader) divides by the items it saw', async () => {
  const model = new Linear(2, 13), all = counted(13)
  const part = await evaluate(model, new DataLoader(all, { bs: 5, dropLast: true }))
  const ten = new Dataset(...all.batch([...Array(10).keys()]))
  const { loss } = await evaluate(model, new DataLoader(ten, { bs: 5 }))
  assert.ok(Math.abs(part.loss - loss) < 1e-4 * Math.abs(loss), `${part.loss}, ${loss}`)
})

it('an optimizer and loaders each say in a line what they are', () => {
  const model = new Linear(2, 3), dls = getDls(counted(5), counted(4), { bs: 2 })
  assert.equal(inspect(new Adam(model.params(), { lr: 0.1 })), 'Adam: lr 0.1, wd 0, 9 parameters')
  assert.match(inspect(dls), /^train DataLoader: 3 .*\nvalid DataLoader: 1 /)
})

it('a number that is no place in a Dataset, or no length of a permutation, is refused', () => {
  const ds = new Dataset(tf.zeros([3, 2]), tf.zeros([3]))
  for (const i of [1.5, 3, -1, NaN]) {
    assert.throws(() => ds.batch([0, i]), { message: `Dataset: wanted 0 … 2, got ${i}` })
  }
  for (const n of [2.5, -1]) {
    assert.throws(() => permutation(n), { message: `permutation: wanted a whole number ≥ 0, got ${n}` })
  }
})
