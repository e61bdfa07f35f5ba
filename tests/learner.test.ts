import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tf, useBackend } from 'miniai/engine'
import {
  Callback, CancelBatchException, CancelEpochException, CancelFitException, CheckpointCB, cosine,
  Learner, lrFind, LRFinderCB, MetricsCB, oneCycle, ProgressCB, RecorderCB, resumable, SchedCB,
  SingleBatchCB, TrainCB,
} from 'miniai/learner'
import { randn, seed } from 'miniai/random'
import { loadModel, saveModel } from 'miniai/safetensors'
import { accuracy, Adam, Dataset, getDls, Linear, Relu, Sequential } from 'miniai/training'
import { hasTensorflow, isRequired } from './children'
import { temporary } from './folders'

const { startKernel } = require('../scripts/kernel/client.cjs')

before(async () => { await useBackend() })

const folder = temporary(), root = join(__dirname, '..')

type LearnerOptions = ConstructorParameters<typeof Learner>[2]

/** 40 + 20 points that a line divides: 5 batches of 8 to train on, 2 of 16 for validation. */
function setUp(options: LearnerOptions = {}) {
  seed(1)
  const part = (n: number) => {
    const x = randn([n, 4])
    return new Dataset(x, x.sum(1).greater(0).toInt())
  }
  const dls = getDls(part(40), part(20), { bs: 8 })
  return new Learner(new Sequential(new Linear(4, 8), new Relu(), new Linear(8, 2)), dls, options)
}

const moments = ['Fit', 'Epoch', 'Batch'].flatMap(o => [`before${o}`, `after${o}`, `cleanup${o}`])

/** Notes moments by their short names; throws `error` at the moment `at`, once. */
function noting(inside: string[] = [], at = '', error?: Error) {
  const notes: string[] = [], o = new Callback() as Callback & Record<string, unknown>
  for (const name of [...moments, ...inside]) {
    o[name] = () => {
      notes.push(name)
      if (name === at && error) throw error
    }
  }
  return { notes, cb: o }
}

const inside = ['afterPredict', 'afterLoss', 'afterBackward', 'afterStep']

it('Learner.fit calls the moments in their order', async () => {
  const { notes, cb } = noting(inside)
  await setUp().fit(1, { cbs: [cb, new SingleBatchCB()] })
  assert.deepEqual(notes, ['beforeFit', 'beforeEpoch', 'beforeBatch', ...inside, 'afterBatch',
    'cleanupBatch', 'cleanupEpoch', 'cleanupFit'])
})

it('Learner.fit ends a batch, an epoch or the fit where a callback asks for it', async () => {
  const count = (xs: string[], name: string) => xs.filter(o => o === name).length
  const after = async (at: string, error: Error) => {
    const { notes, cb } = noting([], at, error)
    await setUp().fit(2, { cbs: [cb] })
    return moments.map(name => count(notes, name)).join(' ')
  }
  // before, after, cleanup of fit, epoch, batch: two epochs of 5 batches and validations of 2
  assert.equal(await after('', new Error()), '1 1 1 4 4 4 14 14 14')
  assert.equal(await after('beforeBatch', new CancelBatchException()), '1 1 1 4 4 4 14 0 14')
  assert.equal(await after('afterBatch', new CancelEpochException()), '1 1 1 4 0 4 4 4 4')
  assert.equal(await after('beforeEpoch', new CancelFitException()), '1 0 1 1 0 1 0 0 0')
})

it('Learner.fit calls callbacks by their order, not by their place', async () => {
  const notes: number[] = []
  const cb = (order: number) =>
    Object.assign(new Callback(), { order, beforeFit: () => { notes.push(order) } })
  await setUp({ cbs: [cb(3), cb(-1)] }).fit(0, { cbs: [cb(2)] })
  assert.deepEqual(notes, [-1, 2, 3])
})

it('Learner.fit trains, compiled or watched from inside, to the same numbers', async () => {
  const run = async (...cbs: Callback[]) => {
    const metrics = new MetricsCB(accuracy)
    await setUp({ opt: Adam, lr: 0.05, cbs: [metrics, ...cbs] }).fit(6)
    return metrics.lines
  }
  const [a, b] = [await run(), await run(noting(inside).cb)]
  assert.ok(a.at(-1)!.accuracy as number >= 0.9, `accuracy ${a.at(-1)!.accuracy}`)
  a.forEach((line, i) => assert.ok(Math.abs(line.loss as number - (b[i].loss as number)) < 1e-4))
})

it('Learner.fit leaves no tensors but those of the optimizer, whatever ends it', async () => {
  const learn = setUp({ opt: Adam, cbs: [new MetricsCB(accuracy), new ProgressCB()] })
  await learn.fit(1)
  const before = tf.memory().numTensors
  await learn.fit(2)
  assert.equal(tf.memory().numTensors, before)
  for (const at of ['afterPredict', 'afterStep', 'afterBatch', 'beforeEpoch']) {
    const isOutside = at === 'afterBatch' || at === 'beforeEpoch'
    const { cb } = noting(isOutside ? [] : inside, at, new Error('oops'))
    await assert.rejects(learn.fit(1, { cbs: [cb] }), /oops/)
    await new Promise(done => setImmediate(done))
    assert.equal(tf.memory().numTensors, before, at)
  }
})

it('Learner.fit sets the model to training and to use', async () => {
  const learn = setUp(), notes: string[] = []
  const beforeBatch = (o: Learner) => { notes.push(`${o.training}, ${o.model.training}`) }
  await learn.fit(1, { cbs: [Object.assign(new Callback(), { beforeBatch })] })
  assert.deepEqual(notes, [...Array(5).fill('true, true'), ...Array(2).fill('false, false')])
})

it('TrainCB can be replaced: another prediction, another loss', async () => {
  class Half extends TrainCB {
    predict(learn: Learner, xb: tf.Tensor) { return learn.model.call(xb).mul(0) }
  }
  const learn = setUp({ cbs: [new Half()] })
  await learn.fit(1)
  assert.ok(Math.abs(learn.loss - Math.log(2)) < 1e-5)
})

it('MetricsCB counts items, not batches', async () => {
  const learn = setUp({ lr: 0 }), metrics = new MetricsCB(accuracy)
  await learn.fit(1, { cbs: [metrics] })
  const all = learn.dls.valid.ds.batch!([...Array(20).keys()]) as [tf.Tensor, tf.Tensor]
  const acc = accuracy(learn.model.call(all[0]), all[1]).dataSync()[0]
  assert.ok(Math.abs(metrics.lines[1].accuracy as number - acc) < 1e-6)
})

it('MetricsCB refuses metrics whose names are none, stand twice or are taken', () => {
  const named = (name: string) => Object.defineProperty(() => tf.scalar(0), 'name', { value: name })
  for (const names of [[''], ['a', 'a'], ['loss'], ['epoch'], ['phase']]) {
    const list = names.map(o => `"${o}"`).join(', ')
    const taken = 'none of loss, epoch and phase'
    assert.throws(() => new MetricsCB(...names.map(named)), { name: 'RangeError',
      message: `MetricsCB: wanted metrics of different names, ${taken}, got ${list}` })
  }
  new MetricsCB(named('a'), named('b'))
})

it('MetricsCB refuses a metric of more than one number, and leaves no tensor', async () => {
  const learn = setUp({ lr: 0 }), each = (preds: tf.Tensor) => tf.mean(preds, 0)
  await learn.fit(1)
  const before = tf.memory().numTensors
  await assert.rejects(learn.fit(1, { cbs: [new MetricsCB(each)] }),
    { name: 'RangeError', message: 'Learner: wanted one number of "each", got the shape [2]' })
  await new Promise(done => setImmediate(done))
  assert.equal(tf.memory().numTensors, before)
  const one = (preds: tf.Tensor) => tf.reshape(tf.mean(preds), [1, 1]), metrics = new MetricsCB(one)
  await learn.fit(1, { cbs: [metrics] })
  assert.ok(Number.isFinite(metrics.lines[0].one))
})

it('new Learner(…).fit refuses what is no callback, and methods that are named almost as a moment', async () => {
  class Slip extends Callback { afterbatch() {} }
  class Unknown extends Callback { beforeStep() {} }
  const refused: [unknown, RegExp][] = [
    [new Slip(), /^Learner: "afterbatch" of Slip is no moment; there are afterPredict, .*afterBatch/],
    [new Unknown(), /^Learner: "beforeStep" of Unknown is no moment/],
    [SchedCB, /^Learner: wanted callbacks, got \[class SchedCB/]]
  for (const [cb, message] of refused) {
    await assert.rejects(setUp().fit(1, { cbs: [cb as Callback] }), { name: 'TypeError', message })
  }
})

it('a callback that is async where nothing can wait is refused', async () => {
  class Late extends Callback { async afterLoss() { throw new Error('late') } }
  const learn = setUp(), message = /^Learner: afterLoss of Late is async, but nothing can be waited/
  await assert.rejects(learn.fit(1, { cbs: [new Late()] }), { message })
  await learn.fit(1)
})

it('a second fit of a Learner while one is under way is refused', async () => {
  const learn = setUp(), first = learn.fit(1)
  await assert.rejects(learn.fit(1), { message: 'fit: a fit of this Learner is under way; await it first' })
  await first
  await learn.fit(1)
})

it('numbers that make no fit are refused, and say which', async () => {
  for (const epochs of [-1, 1.5, NaN]) {
    await assert.rejects(setUp().fit(epochs), { message: `fit: wanted a whole number of epochs, got ${epochs}` })
  }
  await assert.rejects(setUp({ lr: -0.1 }).fit(1), { message: 'SGD: wanted lr ≥ 0, got -0.1' })
  await assert.rejects(setUp({ opt: Adam, wd: NaN }).fit(1), { message: 'Adam: wanted wd ≥ 0, got NaN' })
  assert.throws(() => oneCycle({ rise: 1 }), { message: 'oneCycle: wanted 0 < rise < 1, got 1' })
  await assert.rejects(lrFind(setUp(), { gamma: 1 }), { message: 'lrFind: wanted gamma > 1, got 1' })
  await assert.rejects(lrFind(setUp(), { start: 0 }), { message: 'lrFind: wanted start > 0, got 0' })
  const sched = new SchedCB(oneCycle as unknown as () => number)
  await assert.rejects(setUp().fit(1, { cbs: [sched] }), { message: /^SchedCB: wanted a number from the schedule, got \[Function/ })
  assert.throws(() => new MetricsCB('accuracy' as never), { message: "MetricsCB: wanted functions, got 'accuracy'" })
})

it('SchedCB sets the rate by the part that is done, and gives it back', async () => {
  const recorder = new RecorderCB(), sched = new SchedCB(done => done)
  const learn = setUp({ lr: 2, cbs: [recorder, sched] })
  await learn.fit(2)
  recorder.lrs.forEach((lr, i) => assert.ok(Math.abs(lr - 2 * i / 10) < 1e-9))
  assert.equal(learn.lr, 2)
})

it('cosine and oneCycle begin, turn and end where they say', () => {
  const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-9, `${a} is not ${b}`)
  for (const [at, y] of [[0, 1], [0.5, 0.55], [1, 0.1]]) close(cosine(0.1)(at), y)
  const cycle = oneCycle({ rise: 0.2, start: 0.3, end: 0.01 })
  for (const [at, y] of [[0, 0.3], [0.1, 0.65], [0.2, 1], [1, 0.01]]) close(cycle(at), y)
})

it('lrFind(learn) gives back the weights, also those of a model that it ruined', async () => {
  const learn = setUp(), state = () => Object.values(learn.model.state())
  const weights = () => state().map(v => [...v.dataSync()]), old = weights()
  const { lrs, losses } = await lrFind(learn, { start: 1e-3, gamma: 2, epochs: 20 })
  assert.deepEqual(weights(), old)
  assert.ok(lrs.length > 5 && losses.length === lrs.length)
})

it('lrFind(learn) leaves a schedule, a checkpoint and metrics alone', async () => {
  const path = join(folder, 'found'), metrics = new MetricsCB(accuracy)
  const cbs = [metrics, new SchedCB(oneCycle()), new CheckpointCB(path)]
  const learn = setUp({ cbs })
  await learn.fit(1)
  const { lines } = metrics, before = tf.memory().numTensors
  new CheckpointCB(path).clear()
  const { lrs } = await lrFind(learn, { start: 1e-3, gamma: 2, epochs: 20 })
  assert.ok(Math.max(...lrs) > 0.1, `the largest rate is ${Math.max(...lrs)}`)
  assert.equal(existsSync(path), false)
  assert.equal(metrics.lines, lines)
  assert.equal(tf.memory().numTensors, before)
})

it('lrFind(learn) asks and judges as the Learner does', async () => {
  const asked: string[] = []
  class Asking extends TrainCB {
    predict(learn: Learner, xb: tf.Tensor) {
      asked.push('predict')
      return super.predict(learn, xb)
    }
  }
  await lrFind(setUp({ cbs: [new Asking()] }), { start: 1e-3, gamma: 2, epochs: 20 })
  assert.ok(asked.length > 0)
})

it('LRFinderCB says nothing of its own where another callback ends the fit before it', async () => {
  const finder = new LRFinderCB(), learn = setUp({ cbs: [finder] })
  const { cb } = noting([], 'beforeFit', new Error('oops'))
  await assert.rejects(learn.fit(1, { cbs: [cb] }), /oops/)
  await learn.fit(1)
  await assert.rejects(learn.fit(1, { cbs: [cb] }), /oops/)
})

it('CheckpointCB refuses a file of another fit, another model, and no checkpoint', async () => {
  const path = join(folder, 'refused'), cb = () => new CheckpointCB(path)
  await setUp({ cbs: [cb()] }).fit(2)
  const fit = (epochs: number, how: string) => `${epochs} epochs of 5 batches with ${how}`
  const refused = (epochs: number, how: string, options: LearnerOptions) => {
    const other = `${fit(2, 'SGD, rate 0.1, decay 0')}, this one is of ${fit(epochs, how)}`
    return assert.rejects(setUp({ cbs: [cb()], ...options }).fit(epochs), { message:
      `${path} belongs to a fit of ${other}; remove it to begin anew` })
  }
  await refused(3, 'SGD, rate 0.1, decay 0', {})
  await refused(2, 'Adam, rate 0.1, decay 0', { opt: Adam })
  await refused(2, 'SGD, rate 0.2, decay 0', { lr: 0.2 })
  await refused(2, 'SGD, rate 0.1, decay 0.01', { wd: 0.01 })
  const deeper = setUp({ cbs: [cb()] })
  deeper.model = new Sequential(deeper.model, new Linear(2, 2))
  await assert.rejects(deeper.fit(2), /there is no "model\.0\.0\./)
  const learn = setUp()
  saveModel(path, learn.model)
  await assert.rejects(setUp({ cbs: [cb()] }).fit(2), /is no checkpoint of a fit/)
  writeFileSync(path, 'nonsense')
  await assert.rejects(setUp({ cbs: [cb()] }).fit(2), /is not a safetensors file/)
  cb().clear()
  await setUp({ cbs: [cb()] }).fit(2)
})

for (const moment of ['beforeEpoch', 'afterEpoch', 'afterBatch']) {
  it(`CheckpointCB keeps a rate that a callback changes ${moment}, as it was`, async () => {
    const path = join(folder, `halved ${moment}`)
    const halve = (learn: Learner) => { if (learn.training) learn.lr /= 2 }
    const run = async (file: string, blow = NaN) => {
      let batches = 0
      const afterBatch = () => { if (batches++ === blow) throw new Error('blow') }
      const late = Object.assign(new Callback(), { order: 200, afterBatch })
      const halving = Object.assign(new Callback(), { [moment]: halve })
      const recorder = new RecorderCB()
      const cbs = [halving, recorder, new CheckpointCB(file, { seconds: 0 }), late]
      await setUp({ cbs }).fit(3)
      return recorder.lrs
    }
    const whole = await run(`${path} whole`)
    await assert.rejects(run(path, 9), /blow/)
    assert.deepEqual(await run(path), whole)
  })
}

it('CheckpointCB without isExact lets steps be compiled, and the fit goes on', async () => {
  const calls: number[] = []
  const run = async (name: string, { isExact = false, blow = NaN } = {}) => {
    let batches = 0, count = 0
    const afterBatch = () => { if (batches++ === blow) throw new Error('blow') }
    const late = Object.assign(new Callback(), { order: 200, afterBatch })
    const recorder = new RecorderCB(), path = join(folder, name)
    const cbs = [recorder, new CheckpointCB(path, { seconds: 0, isExact }), late]
    const learn = setUp({ opt: Adam, lr: 0.05, cbs }), { model } = learn, { forward } = model
    model.forward = x => { count++; return forward.call(model, x) }
    await learn.fit(8)
    calls.push(count)
    return { losses: recorder.losses, batches }
  }
  await run('exact', { isExact: true })
  const whole = await run('compiled')
  await assert.rejects(run('cut off', { blow: 40 }), /blow/)
  const resumed = await run('cut off')
  assert.equal(calls[0], 8 * 7)
  const isCompiled = calls[1] < 8 * 7 / 2, can = tf.getBackend() === 'tensorflow'
  assert.equal(isCompiled, can, `asked ${calls[1]} times, compiled steps ask once`)
  assert.ok(resumed.batches < whole.batches)
  assert.equal(resumed.losses.length, whole.losses.length)
  whole.losses.forEach((loss, i) => assert.ok(Math.abs(loss - resumed.losses[i]) < 1e-3))
})

it('resumable(name) keeps the fit and its model in MINIAI_RUN, elsewhere nothing', async () => {
  const { MINIAI_RUN } = process.env, run = join(folder, 'run')
  const fit = async (...more: Callback[]) => {
    const counter = noting(), cbs = [...resumable('digits'), counter.cb, ...more]
    const learn = setUp({ cbs })
    await learn.fit(2)
    return { learn, batches: counter.notes.filter(o => o === 'afterBatch').length }
  }
  mkdirSync(run)
  try {
    process.env.MINIAI_RUN = ''
    assert.deepEqual(resumable('digits'), [])
    process.env.MINIAI_RUN = run
    assert.deepEqual(resumable('x', { isExact: false }).map(o => o.isExact), [false])
    assert.deepEqual(resumable('x').map(o => o.isExact), [true])
    await assert.rejects(fit(noting([], 'afterEpoch', new Error('blow')).cb), /blow/)
    assert.deepEqual(readdirSync(run), ['digits.checkpoint'])
    const { learn, batches } = await fit()
    assert.equal(batches, 2 * 7 - 5)
    assert.deepEqual(readdirSync(run).sort(), ['digits.checkpoint', 'digits.safetensors'])
    const stored = setUp().model
    loadModel(join(run, 'digits.safetensors'), stored)
    const numbers = (o: typeof stored) => Object.values(o.state()).map(v => [...v.dataSync()])
    assert.deepEqual(numbers(stored), numbers(learn.model))
  } finally {
    delete process.env.MINIAI_RUN
    if (MINIAI_RUN) process.env.MINIAI_RUN = MINIAI_RUN
  }
})

const backends = ['cpu', ...hasTensorflow || isRequired('tensorflow') ? ['tensorflow'] : []]

interface Ran { out: string, killed: boolean }

/** Run the program of tests/resume.ts; with `delay`, kill it so many ms after its fit began. */
function run(path: string, backend: string, delay?: number): Promise<Ran> {
  const args = ['-r', join(root, 'scripts/load.cjs'), join(__dirname, 'resume.ts'), path, backend]
  const child = spawn(process.execPath, args), kill = () => child.kill('SIGKILL')
  let out = ''
  child.stdout.on('data', o => { out += o })
  child.stderr.on('data', o => {
    if (delay !== undefined && String(o).includes('begins')) setTimeout(kill, delay)
  })
  return new Promise(done =>
    child.on('close', (_, signal) => done({ out, killed: signal === 'SIGKILL' })))
}

for (const backend of backends) {
  it(`a fit killed with -9 ends like one that was left alone, on ${backend}`, async function () {
    this.timeout(300000)
    const start = performance.now(), whole = await run(join(folder, `whole ${backend}`), backend)
    const lasted = performance.now() - start
    assert.match(whole.out, /^\{"weights"/)
    const path = join(folder, `killed ${backend}`)
    let kills = 0, last: Ran = { out: '', killed: true }
    for (let i = 0; last.killed; i++) {
      // some at once, some while a file is written, most after a few batches; then leave it alone
      last = await run(path, backend, i < 8 ? Math.random() ** 2 * lasted / 8 : undefined)
      if (last.killed) kills++
    }
    assert.ok(kills >= 3, `only ${kills} kills`)
    assert.equal(last.out, whole.out)
    assert.deepEqual(readdirSync(folder).filter(o => o.startsWith('.')), [])
  })
}

/** What a learner has run before the fit that is interrupted. */
const cells = (backend: string) => `import { tf, useBackend } from 'miniai/engine'
import { Learner, MetricsCB, ProgressCB } from 'miniai/learner'
import { randn } from 'miniai/random'
import { accuracy, Dataset, getDls, Linear } from 'miniai/training'
await useBackend('${backend}')
const x = randn([400, 4]), ds = new Dataset(x, x.sum(1).greater(0).toInt())
const metrics = new MetricsCB(accuracy), bar = new ProgressCB()
const learn = new Learner(new Linear(4, 2), getDls(ds, ds, { bs: 8 }), { cbs: [metrics, bar] })
await learn.fit(1)
const count = tf.memory().numTensors`

for (const backend of backends) {
  it(`interrupting a fit leaves a Learner that goes on, on ${backend}`, async function () {
    this.timeout(120000)
    const file = join(root, 'scripts/kernel.cjs')
    const kernel = await startKernel({ kernel: file, cwd: join(root, 'nbs') })
    const run = async (code: string) => (await kernel.execute(code)).reply
    try {
      assert.equal((await run(cells(backend))).status, 'ok')
      setTimeout(() => kernel.interrupt(), 3000)
      assert.equal((await run('await learn.fit(100000)')).ename, 'Interrupted')
      const after = await run(`await learn.fit(2)
const [lines, more] = [metrics.lines.length, tf.memory().numTensors - count]
if (lines !== 4 || more) throw new Error(\`\${lines} lines, \${more} tensors\`)`)
      assert.equal(after.status, 'ok', after.evalue)
    } finally { await kernel.close() }
  })
}
