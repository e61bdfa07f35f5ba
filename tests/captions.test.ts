import assert from 'node:assert/strict'
import { tf, useBackend } from 'miniai/engine'
import { Attrs, attrNames, caption, CaptionedDigits, choices, drawDigits, Glyphs, heldOut, isHeldOut, labelsOf,
  parseCaption, randomAttrs } from 'miniai/captions'
import { loadMnist } from 'miniai/files'
import { DataLoader } from 'miniai/training'

let glyphs: Glyphs
before(async () => {
  await useBackend()
  glyphs = new Glyphs((await loadMnist()).valid)
})

const seven: Attrs = { digit: 7, ink: 'red', ground: 'yellow', size: 'large', place: 'centre', slant: 'upright', count: 1 }
const many = Array.from({ length: 3000 }, (_, i) => i)

/** Which pixels of the picture of `attrs` are nearer to the ink than to the ground. */
function inked(attrs: Attrs, seed: number): [x: number, y: number][] {
  const out = new Float32Array(64 * 64 * 3), spots: [number, number][] = []
  drawDigits(out, 0, { ...attrs, ink: 'black', ground: 'white' }, { glyphs, seed })
  for (let i = 0; i < 4096; i++) if (out[3 * i] < 0.5) spots.push([i % 64, Math.floor(i / 64)])
  return spots
}
const mean = (xs: number[]) => xs.reduce((a, b) => a + b, 0) / xs.length
const span = (xs: number[]) => Math.max(...xs) - Math.min(...xs) + 1

it('parseCaption(caption(attrs, seed)) never contradicts the attributes and always names the digit', () => {
  for (const i of many) {
    const attrs = randomAttrs(i), named = parseCaption(caption(attrs, i))
    assert.deepEqual(named, Object.fromEntries(Object.keys(named).map(o => [o, attrs[o as keyof Attrs]])), caption(attrs, i))
    assert.notEqual(named.digit, undefined)
  }
})

it('caption(attrs, seed) says the same again for the same seed, and many things for others', () => {
  assert.equal(caption(seven, 3), caption(seven, 3))
  assert.ok(new Set(many.map(i => caption(seven, i))).size > 1000)
})

it('parseCaption(text) understands prompts that the grammar does not write', () => {
  const cases: [string, Partial<Attrs>][] = [['red seven', { digit: 7, ink: 'red', count: 1 }],
    ['A Small RED Seven on a yellow ground.', { digit: 7, ink: 'red', ground: 'yellow', size: 'small', count: 1 }],
    ['two ones', { digit: 1, count: 2 }], ['one two', { digit: 2, count: 1 }], ['a one', { digit: 1, count: 1 }],
    ['three green 8s on white', { digit: 8, ink: 'green', ground: 'white', count: 3 }], ['sevens', { digit: 7 }],
    ['a seven in the center, leaning left', { digit: 7, place: 'centre', slant: 'left', count: 1 }], ['', {}],
    ['something else', {}]]
  for (const [text, want] of cases) assert.deepEqual(parseCaption(text), want, text)
})

it('randomAttrs(seed) keeps held-out pairs away, or draws nothing else', () => {
  for (const i of many) {
    assert.equal(isHeldOut(randomAttrs(i)), false)
    assert.equal(isHeldOut(randomAttrs(i, { pairs: 'heldOut' })), true)
  }
  const share = mean(many.map(i => +isHeldOut(randomAttrs(i, { pairs: 'all' }))))
  assert.ok(share > 0.1 && share < 0.25, `${share}`)
})

it('randomAttrs(seed) draws each choice of each attribute, and ink that differs from the ground', () => {
  const drawn = many.map(i => randomAttrs(i))
  for (const name of attrNames) {
    assert.deepEqual(new Set(drawn.map(o => o[name])), new Set<unknown>(choices[name]), name)
  }
  assert.ok(drawn.every(o => o.ink !== o.ground))
  assert.ok(drawn.every(o => o.count === 1 || o.size !== 'large'))
})

it('heldOut has pairs only, and each value of them is seen in others', () => {
  for (const pair of heldOut) {
    assert.equal(Object.keys(pair).length, 2)
    for (const [name, o] of Object.entries(pair)) {
      assert.ok(many.some(i => randomAttrs(i)[name as keyof Attrs] === o), `${name} ${o}`)
    }
  }
})

it('labelsOf(attrs) gives each attribute\'s place among its choices', () => {
  assert.deepEqual(labelsOf(seven), [7, 0, 2, 2, 0, 0, 0])
})

it('drawDigits draws the size, the place and the slant that are asked for', () => {
  const heights = choices.size.map(size => mean(many.slice(0, 50).map(i => span(inked({ ...seven, size }, i).map(p => p[1])))))
  assert.ok(heights[0] < 21 && heights[1] > 22 && heights[1] < 30 && heights[2] > 33, `${heights}`)
  const middle = (place: Attrs['place'], k: 0 | 1) =>
    mean(many.slice(0, 50).map(i => mean(inked({ ...seven, size: 'small', place }, i).map(p => p[k]))))
  assert.ok(middle('left', 0) < 20 && middle('right', 0) > 43 && middle('top', 1) < 20 && middle('bottom', 1) > 43)
  const lean = (slant: Attrs['slant']) => mean(many.slice(0, 50).map(i => {
    const spots = inked({ ...seven, slant }, i), [mx, my] = [0, 1].map(k => mean(spots.map(p => p[k])))
    const slope = mean(spots.map(p => (p[0] - mx) * (p[1] - my))) / mean(spots.map(p => (p[1] - my) ** 2))
    return slope
  }))
  const [upright, left, right] = choices.slant.map(lean)
  assert.ok(Math.abs(upright) < 0.05 && Math.abs(left - 0.4) < 0.05 && Math.abs(right + 0.4) < 0.05, `${[upright, left, right]}`)
})

it('drawDigits keeps all ink inside the picture', () => {
  for (const i of many.slice(0, 500)) {
    const spots = inked(randomAttrs(i), i), edge = spots.filter(p => p.some(o => o === 0 || o === 63)).length
    assert.ok(edge <= 0.08 * spots.length, `picture ${i}: ${edge} of ${spots.length}`)
  }
})

it('CaptionedDigits makes item i the same alone and in any batch, in numbers from 0 to 1', () => {
  const ds = new CaptionedDigits(glyphs, { n: 100, seed: 3 }), area = 64 * 64 * 3
  assert.deepEqual(ds.pixels([5]), ds.pixels([9, 5]).slice(area))
  assert.notDeepEqual(ds.pixels([5]), ds.pixels([6]))
  assert.notDeepEqual(ds.pixels([5]), new CaptionedDigits(glyphs, { n: 100, seed: 4 }).pixels([5]))
  assert.ok(ds.pixels(many.slice(0, 100)).every(o => o >= 0 && o <= 1))
})

it('CaptionedDigits feeds a DataLoader with pictures [n, 64, 64, 3] and labels [n, 7]', async () => {
  const ds = new CaptionedDigits(glyphs, { n: 20, seed: 3 }), tensors = tf.memory().numTensors
  for await (const [xb, yb] of new DataLoader(ds, { bs: 20 })) {
    assert.deepEqual([xb.shape, yb.shape, yb.dtype], [[20, 64, 64, 3], [20, 7], 'int32'])
    assert.deepEqual(yb.arraySync(), many.slice(0, 20).map(i => labelsOf(ds.attrs(i))))
    tf.dispose([xb, yb])
  }
  const [x, y] = ds.at(0)
  assert.deepEqual([x.shape, y.shape], [[64, 64, 3], [7]])
  tf.dispose([x, y])
  assert.equal(tf.memory().numTensors, tensors)
})

it('CaptionedDigits refuses a length that is none', () => {
  for (const n of [0, -1, 1.5, NaN]) {
    assert.throws(() => new CaptionedDigits(glyphs, { n }), /CaptionedDigits: wanted a length ≥ 1, got/)
  }
})
