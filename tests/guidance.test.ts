import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FoldedNet } from 'miniai/ddpm'
import { tf, useBackend } from 'miniai/engine'
import { cfg, digitsSchedule, EmaCB, GuidedCB, loadGuided, makeDigits, quietStart } from 'miniai/guidance'
import { Callback, CheckpointCB, Learner, RecorderCB } from 'miniai/learner'
import { seed } from 'miniai/random'
import { sample } from 'miniai/samplers'
import { Adam, DataLoader, DataLoaders, Dataset, Linear } from 'miniai/training'
import { UNet } from 'miniai/unet'
import { hasTensorflow, runChild, softwareCard } from './children'

const small = { inChannels: 4, outChannels: 4, blockOutChannels: [8], layersPerBlock: 1, normNumGroups: 4, numClassEmbeds: 11,
  downBlockTypes: ['DownBlock2D'], midBlockType: null, upBlockTypes: ['UpBlock2D'] }
const farthest = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a, (x, i) => Math.abs(x - b[i])).reduce((p, q) => Math.max(p, q), 0)

function setUp(config: object = small) {
  seed(3)
  const unet = new UNet(config), y = tf.tensor1d([7, 3]), none = tf.tensor1d([10, 10])
  return { unet, y, none, x: tf.randomNormal([2, 4, 4, 4], 0, 1, 'float32', 1) as tf.Tensor4D, times: tf.tensor1d([500, 500]) }
}

it('cfg(unet, { g, u, t }) answers u + g (t − u), for classes and for contexts', async () => {
  await useBackend('wasm')
  const { unet, x, y, none, times } = setUp()
  const words = new UNet({ ...small, numClassEmbeds: null, downBlockTypes: ['CrossAttnDownBlock2D'], upBlockTypes: ['CrossAttnUpBlock2D'],
    attentionHeadDim: 2, crossAttentionDim: 6 }), contexts = [1, 2].map(k => tf.randomNormal([2, 3, 6], 0, 1, 'float32', k))
  for (const [model, u, t] of [[unet, { y: none }, { y }], [words, { context: contexts[0] }, { context: contexts[1] }]] as const) {
    const [a, b] = [u, t].map(o => model.forward(x, times, o)), expected = tf.add(a, tf.mul(tf.sub(b, a), 3))
    assert.ok(farthest(cfg(model, { g: 3, u, t })(x, times).dataSync(), expected.dataSync()) < 1e-4)
  }
})

it('cfg asks one side alone at g = 0 and 1 and outside of from … to', async () => {
  await useBackend('wasm')
  const { unet, x, y, none, times } = setUp(), sizes: number[] = []
  unet.conv_in.hooks.push(out => sizes.push(out.shape[0]))
  for (const o of [{ g: 0 }, { g: 1 }, { g: 2, to: 499 }, { g: 2, from: 501 }, { g: 2, from: 500, to: 500 }]) cfg(unet, { u: { y: none }, t: { y }, ...o })(x, times)
  assert.deepEqual(sizes, [2, 2, 2, 2, 4])
})

it('cfg refuses a U-Net without conditions, and a g that is no number', async () => {
  await useBackend('wasm')
  const { unet } = setUp(), plain = new UNet({ ...small, numClassEmbeds: null })
  assert.throws(() => cfg(plain, { g: 2, u: {}, t: {} }), { message: 'cfg: this U-Net knows no classes and no context to guide it by' })
  assert.throws(() => cfg(unet, { g: NaN, u: {}, t: {} }), { message: 'cfg: wanted a number g, got NaN' })
})

it('cfg refuses another network, and sides that are told different things', async () => {
  await useBackend('wasm')
  const { unet, y } = setUp(), told = { g: 2, u: { y }, t: { y } }
  for (const other of [new FoldedNet(), (x: tf.Tensor) => x]) {
    assert.throws(() => cfg(other as never, told), { message: 'cfg: wanted a UNet that knows classes or a context' })
  }
  assert.throws(() => cfg(unet, { g: 2, u: {}, t: { y } }), { message: 'cfg: u and t differ, got y none, context none and y [2], context none' })
  assert.throws(() => cfg(unet, { g: 2, u: { y: tf.zeros([1]) }, t: { y } }), { message: 'cfg: u and t differ, got y [1], context none and y [2], context none' })
  const noise = tf.zeros([2, 4, 4, 4]) as tf.Tensor4D
  await assert.rejects(sample(x => x, noise, digitsSchedule(), { steps: 1, guidance: cfg(told) }), /^Error: cfg: wanted a UNet/)
})

it('cfg({ g, u, t }) is a wrapper for the option guidance of sample, and does what cfg(unet, …) does', async () => {
  await useBackend('wasm')
  const { unet, x, y, none } = setUp(), wish = { g: 3, u: { y: none }, t: { y } }, run = { steps: 3 }
  const [a, b] = [await sample(cfg(unet, wish), x, digitsSchedule(), run), await sample(unet, x, digitsSchedule(), { ...run, guidance: cfg(wish) })]
  assert.deepEqual(a.dataSync(), b.dataSync())
  assert.ok(farthest(a.dataSync(), (await sample(cfg(unet, { ...wish, g: 1 }), x, digitsSchedule(), run)).dataSync()) > 1e-3)
})

it('makeDigits leaves nothing behind when a callback throws in its second batch', async () => {
  await useBackend('wasm')
  const unet = loadGuided()
  await makeDigits(unet, [3], { steps: 1 })
  const before = tf.memory().numTensors
  let calls = 0
  const callback = () => { if (++calls === 2) throw new Error('enough') }
  await assert.rejects(makeDigits(unet, [3, 4], { steps: 1, callback }, 1), /enough/)
  assert.equal(tf.memory().numTensors, before)
})

it('makeDigits refuses digits that do not exist, none, and wrong steps, in one sentence', async () => {
  await useBackend('wasm')
  const unet = loadGuided()
  await assert.rejects(makeDigits(unet, [3, 11]), { message: 'makeDigits: wanted digits 0 to 9 (10: any), got 11' })
  await assert.rejects(makeDigits(unet, []), { message: 'makeDigits: wanted digits 0 to 9 (10: any), got none' })
  await assert.rejects(makeDigits(unet, [3], { steps: 0 }), /^RangeError: sample: wanted 1 to 1000 whole steps, got 0$/)
})

it('makeDigits with the same seed gives the same pictures, in batches of any size, and leaves nothing behind', async () => {
  await useBackend('wasm')
  const unet = loadGuided(), make = (bs: number) => makeDigits(unet, [7, 1, 4], { steps: 2, seed: 5 }, bs), first = await make(3)
  const before = tf.memory().numTensors, again = await make(3)
  assert.deepEqual(again.dataSync(), first.dataSync())
  assert.equal(tf.memory().numTensors, before + 1)
  assert.ok(farthest((await make(2)).dataSync(), first.dataSync()) < 1e-4)
  assert.ok(farthest((await makeDigits(unet, [7, 1, 4], { steps: 2, seed: 6 })).dataSync(), first.dataSync()) > 0.1)
})

const card = softwareCard ? { webgpu: softwareCard } : {}
const others = { ...hasTensorflow ? { tensorflow: {} } : {}, ...card }
for (const [backend, env] of Object.entries(others)) {
  const [steps, digits] = backend === 'webgpu' ? [2, '7'] : [20, '7, 4'] // a graphics card in software takes its time
  it(`makeDigits with the stored weights and ${steps} steps gives the same pictures on wasm and ${backend}, to 1e-3`, function () {
    this.timeout(300_000)
    const code = `await useBackend(); const { loadGuided, makeDigits } = require("miniai/guidance")
      const x = await makeDigits(loadGuided(), [${digits}], { steps: ${steps} }); console.log(JSON.stringify([...await x.data()]))`
    const [here, there] = [{ MINIAI_BACKEND: 'wasm' }, { MINIAI_BACKEND: backend, ...env }].map(o => {
      const { out, err, status } = runChild(code, o)
      assert.equal(status, 0, err)
      return JSON.parse(out) as number[]
    })
    assert.ok(here.some(x => x > 0.5) && here.some(x => x < 0.1))
    assert.ok(farthest(here, there) < 1e-3, `${farthest(here, there)}`)
  })
}

it('EmaCB ends with w̄ ← β w̄ + (1 − β) w in the model, where β rises to `decay`', async () => {
  await useBackend('wasm')
  seed(1)
  const layer = new Linear(1, 1, { bias: false }), seen: number[] = [layer.weight.dataSync()[0]]
  class Watch extends Callback { afterBatch(learn: Learner): void { seen.push((learn.model as Linear).weight.dataSync()[0]) } }
  const loader = new DataLoader(new Dataset(tf.range(0, 12).reshape([12, 1]), tf.range(0, 12).reshape([12, 1])), { bs: 4 })
  const lossFunc = (a: tf.Tensor, b: tf.Tensor) => tf.mean(tf.squaredDifference(a, b))
  await new Learner(layer, new DataLoaders(loader, loader), { lossFunc, opt: Adam, lr: 0.1, cbs: [new Watch(), new EmaCB(0.15)] }).fit(1, { valid: false })
  const betas = [0.1, 0.15, 0.15], expected = seen.slice(1).reduce((avg, w, k) => betas[k] * avg + (1 - betas[k]) * w, seen[0])
  assert.ok(Math.abs(layer.weight.dataSync()[0] - expected) < 1e-5)
})

class Stop extends Callback {
  order = 200
  constructor(private at: number) { super() }
  afterBatch({ iter }: Learner): void { if (iter + 1 === this.at) throw new Error('power cut') }
}

it('a training with GuidedCB and EmaCB that is cut off goes on to the same weights', async () => {
  await useBackend('wasm')
  const folder = mkdtempSync(join(tmpdir(), 'miniai-guided-'))
  const train = async (path: string, cbs: Callback[]) => {
    seed(9)
    const unet = quietStart(new UNet(small)), x = tf.randomNormal([16, 4, 4, 4], 0, 1, 'float32', 2), recorder = new RecorderCB()
    const loader = new DataLoader(new Dataset(x, tf.range(0, 16).mod(10)), { bs: 4, shuffle: true })
    const all = [new GuidedCB(digitsSchedule()), new EmaCB(), recorder, new CheckpointCB(join(folder, path), { seconds: 0 }), ...cbs]
    const learn = new Learner(unet, new DataLoaders(loader, loader), { opt: Adam, lr: 1e-2, cbs: all })
    await learn.fit(1, { valid: false })
    return { losses: recorder.losses, weights: Object.values(unet.state()).map(v => [...v.dataSync()]) }
  }
  try {
    const whole = await train('a', [])
    await assert.rejects(train('b', [new Stop(2)]), /power cut/)
    const resumed = await train('b', [])
    assert.equal(whole.losses.length, 4)
    assert.deepEqual(resumed, whole)
  } finally { rmSync(folder, { recursive: true }) }
})

it('GuidedCB exchanges about one label in ten for the null class', async () => {
  await useBackend('wasm')
  const labels = [...new GuidedCB(digitsSchedule()).labels(tf.fill([4000], 3)).dataSync()], share = labels.filter(o => o === 10).length / 4000
  assert.ok(Math.abs(share - 0.1) < 0.02, `${share}`)
  assert.ok(labels.every(o => o === 3 || o === 10))
})
