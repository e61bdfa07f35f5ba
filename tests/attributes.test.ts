import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { attrAccuracies, attrAccuracy, attrLoss, loadAttrNet, PictureNet, readPictures, shows, withInk } from 'miniai/attributes'
import { Attrs, attrNames, CaptionedDigits, Glyphs } from 'miniai/captions'
import { tf, useBackend } from 'miniai/engine'
import { loadMnist } from 'miniai/files'

before(async () => { await useBackend() })

const sizes = [10, 8, 8, 3, 5, 3, 3]
const seven: Attrs = { digit: 7, ink: 'red', ground: 'yellow', size: 'large', place: 'left', slant: 'right', count: 1 }
/** Outputs [n, 40] that are sure of these labels. */
const sure = (labels: number[][]) => tf.concat(sizes.map((n, k) =>
  tf.mul(tf.oneHot(tf.tensor1d(labels.map(o => o[k]), 'int32'), n), 50)), 1)

it('withInk(x) tells how far pixels are from the ground, whatever the colours: 1 for the farthest', () => {
  for (const [ground, ink] of [[0, 1], [0.9, 0.6], [0.2, 0.5]]) {
    const x = tf.buffer([1, 64, 64, 3], 'float32', Float32Array.from({ length: 64 * 64 * 3 }, () => ground))
    for (const c of [0, 1, 2]) x.set(ink, 0, 30, 40, c), x.set((ground + ink) / 2, 0, 31, 40, c)
    const out = withInk(x.toTensor()), far = (i: number, k: number) => out.slice([0, i, k, 3], [1, 1, 1, 1]).dataSync()[0]
    assert.deepEqual(out.shape, [1, 64, 64, 4])
    assert.ok([[30, 40, 1], [31, 40, 0.5], [9, 9, 0]].every(([i, k, want]) => Math.abs(far(i, k) - want) < 0.01), `${ground}, ${ink}`)
  }
})

it('withInk(x) of one colour is no ink, and other sizes are refused', () => {
  const [most] = withInk(tf.fill([1, 64, 64, 3], 0.3)).slice([0, 0, 0, 3]).max().dataSync()
  assert.ok(most < 0.02)
  assert.throws(() => withInk(tf.zeros([1, 64, 64, 1])), /^RangeError: withInk: wanted \[n, 64, 64, 3\], got \[1,64,64,1\]$/)
})

it('attrLoss is the sum of seven cross-entropies: all of log n for who knows nothing, none for who knows', () => {
  const labels = [[7, 0, 2, 2, 1, 2, 0], [0, 7, 6, 0, 4, 0, 2]], yb = tf.tensor2d(labels, [2, 7], 'int32')
  const nothing = sizes.reduce((sum, n) => sum + Math.log(n), 0)
  assert.ok(Math.abs(attrLoss(tf.zeros([2, 40]), yb).dataSync()[0] - nothing) < 1e-4)
  assert.ok(attrLoss(sure(labels), yb).dataSync()[0] < 1e-6)
})

it('attrAccuracies says for each attribute which share is right', () => {
  const preds = sure([[7, 0, 2, 2, 1, 2, 0], [0, 7, 6, 0, 4, 0, 2]])
  const yb = tf.tensor2d([[7, 1, 2, 2, 1, 2, 0], [1, 6, 6, 0, 4, 0, 2]], [2, 7], 'int32')
  assert.deepEqual([...attrAccuracies(preds, yb).dataSync()], [0.5, 0, 1, 1, 1, 1, 1])
  assert.ok(Math.abs(attrAccuracy(preds, yb).dataSync()[0] - 5.5 / 7) < 1e-6)
})

it('shows(found, named) asks only for what is named', () => {
  assert.deepEqual(shows([seven, seven, seven], [{}, { digit: 7, ink: 'red' }, { digit: 7, ink: 'blue' }]), [true, true, false])
})

it('new PictureNet(40) trained on one batch learns it', () => {
  const net = new PictureNet(40, [4, 8, 8, 8]), x = tf.randomUniform([4, 64, 64, 3], 0, 1, 'float32', 1)
  const yb = tf.tensor2d([[1, 2, 3, 0, 1, 2, 0], [5, 0, 7, 1, 3, 0, 1], [9, 4, 1, 2, 0, 1, 2], [3, 3, 0, 0, 4, 2, 1]], [4, 7], 'int32')
  const loss = () => attrLoss(net.call(x), yb), opt = tf.train.adam(0.01), before = loss().dataSync()[0]
  for (let i = 0; i < 20; i++) opt.minimize(loss)
  assert.ok(loss().dataSync()[0] < before / 4)
})

it('loadAttrNet() reads unseen pictures right, held-out pairs too: each attribute of 97 in 100', async () => {
  const net = loadAttrNet(), ds = new CaptionedDigits(new Glyphs((await loadMnist()).test), { n: 200, seed: 9, pairs: 'heldOut' })
  const ix = Array.from({ length: 200 }, (_, i) => i), found = readPictures(net, ds.batch(ix)[0])
  const right = (name: keyof Attrs) => found.filter((o, i) => o[name] === ds.attrs(i)[name]).length / 200
  for (const name of attrNames) assert.ok(right(name) >= 0.97, `${name}: ${right(name)}`)
})

it('loadAttrNet(path) of another model is refused in one sentence that names the file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attributes-')), path = join(folder, 'attributes.safetensors')
  copyFileSync(join(__dirname, '../nbs/models/guided.safetensors'), path)
  try {
    assert.throws(() => loadAttrNet(path), /attributes\.safetensors: there is no "stem\.conv\.weight"$/)
  } finally { rmSync(folder, { recursive: true }) }
})
