// Do not edit: made by "npm run export" from ../nbs/16a_captions.ipynb (0b3e8f6d536b)
// Pictures with sentences about them, as many as we like, from real handwriting: a world small enough for two cores and rich enough for everything that text-to-image has to learn.

import { inspect } from 'util'
import { tf } from './engine'
import { Digits } from './files'
import { chunks } from './iterators'

// %% ../nbs/16a_captions.ipynb 0bebc1a1
/** The colours of ink and ground. */
export const colours = ['red', 'orange', 'yellow', 'green', 'blue', 'purple', 'white', 'black'] as const

// %% ../nbs/16a_captions.ipynb 2be56f08
/** What a picture of captioned digits can be, attribute by attribute. */
export const choices = {
  digit: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  ink: colours,
  ground: colours,
  size: ['small', 'medium', 'large'],
  place: ['centre', 'left', 'right', 'top', 'bottom'],
  slant: ['upright', 'left', 'right'],
  count: [1, 2, 3],
} as const
/** What a picture shows: a seven, red on yellow, small … */
export type Attrs = { [name in keyof typeof choices]: typeof choices[name][number] }

// %% ../nbs/16a_captions.ipynb 30b92c5e
/** The attributes' names, in the order of labels. */
export const attrNames = Object.keys(choices) as (keyof typeof choices)[]

// %% ../nbs/16a_captions.ipynb 5b3d95a3
/** Pairs of attributes that no picture for training has. */
export const heldOut: Partial<Attrs>[] = [
  { digit: 0, ink: 'green' }, { digit: 1, ink: 'purple' }, { digit: 2, ink: 'orange' },
  { digit: 3, ink: 'blue' }, { digit: 5, ink: 'yellow' }, { digit: 6, ink: 'red' },
  { digit: 8, ink: 'black' }, { digit: 9, ink: 'white' }, { digit: 4, place: 'top' },
  { digit: 7, place: 'bottom' }, { ink: 'red', ground: 'green' }, { ink: 'white', ground: 'blue' }]

// %% ../nbs/16a_captions.ipynb 5ee9b21a
/** Whether attributes contain a pair that is held out. */
export function isHeldOut(attrs: Partial<Attrs>): boolean {
  const has = (pair: Partial<Attrs>) =>
    attrNames.every(o => pair[o] === undefined || pair[o] === attrs[o])
  return heldOut.some(has)
}

// %% ../nbs/16a_captions.ipynb 0572fd1c
type Dice = () => number

/** Numbers in [0, 1) that depend on two whole numbers alone. */
function dice(a: number, b = 0): Dice {
  let state = Math.imul(a, 0x85ebca6b) + b | 0
  return () => {
    state = state + 0x9e3779b9 | 0
    let z = Math.imul(state ^ state >>> 16, 0x21f0aaad)
    z = Math.imul(z ^ z >>> 15, 0x735a2d97)
    return ((z ^ z >>> 15) >>> 0) / 2 ** 32
  }
}
const pick = <T>(draw: Dice, xs: readonly T[]): T => xs[Math.floor(draw() * xs.length)]

// %% ../nbs/16a_captions.ipynb 3f1e4721
/** Whether pictures have no pair that is held out, have one, or may have one. */
export type Pairs = 'seen' | 'heldOut' | 'all'

/** Attributes drawn by `seed`. */
export function randomAttrs(seed: number, { pairs = 'seen' as Pairs } = {}): Attrs {
  for (const draw = dice(1, seed);;) {
    const count = pick(draw, [1, 1, 1, 2, 3] as const)
    const attrs: Attrs = { digit: pick(draw, choices.digit), ink: pick(draw, colours),
      ground: pick(draw, colours), size: pick(draw, choices.size.slice(0, 4 - count)),
      place: pick(draw, choices.place), slant: pick(draw, choices.slant), count }
    const isWanted = pairs === 'all' || isHeldOut(attrs) === (pairs === 'heldOut')
    if (attrs.ink !== attrs.ground && isWanted) return attrs
  }
}

// %% ../nbs/16a_captions.ipynb 371b2203
const digitWords = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
const sizeWords = { small: ['small', 'little', 'tiny'],
  medium: ['medium', 'medium-sized', 'mid-sized'], large: ['large', 'big', 'huge'] }
const slantWords = { upright: ['upright', 'standing straight'],
  left: ['leaning left', 'slanting to the left', 'tilted left'],
  right: ['leaning right', 'slanting to the right', 'tilted right'] }
const placeWords = { centre: ['in the centre', 'in the middle'],
  left: ['on the left', 'at the left edge', 'on the left side'],
  right: ['on the right', 'at the right edge', 'on the right side'],
  top: ['at the top', 'near the top', 'at the upper edge'],
  bottom: ['at the bottom', 'near the bottom', 'at the lower edge'] }

// %% ../nbs/16a_captions.ipynb 977c9311
const withArticle = (words: string) => `${/^([aeiou8](?!ne\b))/.test(words) ? 'an' : 'a'} ${words}`

function noun({ digit, count }: Attrs, draw: Dice): string {
  const isWord = draw() < 0.75, word = isWord ? digitWords[digit] : `${digit}`
  return count === 1 ? word : word + (isWord && digit === 6 ? 'es' : 's')
}
function numbered(words: string, { count }: Attrs, draw: Dice): string {
  if (count > 1) return `${digitWords[count]} ${words}`
  return draw() < 0.85 ? withArticle(words) : `one ${words}`
}

// %% ../nbs/16a_captions.ipynb e6c06729
const grounds = (colour: string) => [
  ...[withArticle(`${colour} ground`), withArticle(`${colour} background`),
    colour, `${colour} paper`].map(o => `on ${o}`),
  `against ${withArticle(colour)} background`]
const inks = (colour: string) => [`in ${colour}`, `in ${colour} ink`, `written in ${colour}`]

// %% ../nbs/16a_captions.ipynb deffc211
/** A sentence about a picture; `seed` chooses what is named, the words and their order. */
export function caption(attrs: Attrs, seed = 0): string {
  const draw = dice(2, seed)
  const isSaid = (share: number, words: string) => draw() < share ? [words] : []
  const size = isSaid(0.7, pick(draw, sizeWords[attrs.size]))
  const isInkFirst = draw() < 0.7
  const ink = isSaid(0.9, isInkFirst ? attrs.ink : pick(draw, inks(attrs.ink)))
  const words = [...size, ...isInkFirst ? ink : [], noun(attrs, draw)].join(' ')
  const middle = [numbered(words, attrs, draw), ...isInkFirst ? [] : ink].join(' ')
  const slant = isSaid(0.6, pick(draw, slantWords[attrs.slant]))
  const ground = isSaid(0.8, pick(draw, grounds(attrs.ground)))
  const place = isSaid(0.6, pick(draw, placeWords[attrs.place]))
  const order = pick(draw, ['plain', 'plain', 'place', 'ground', 'list'])
  if (order === 'list') return [middle, ...ground, ...place, ...slant].join(', ')
  if (order === 'place') return [...place, [middle, ...slant, ...ground].join(' ')].join(', ')
  if (order === 'ground') return [...ground, [middle, ...slant, ...place].join(' ')].join(', ')
  return [pick(draw, ['', '', 'a picture of ']) + middle, ...slant, ...ground, ...place].join(' ')
}

// %% ../nbs/16a_captions.ipynb 6732e0e8
const anyOf = (xs: readonly string[]) =>
  `(${[...xs].sort((a, b) => b.length - a.length).join('|')})`
const finders = {
  prefix: /\ba picture of\b/,
  ground: new RegExp(`\\b(?:on|against) (?:an? )?${anyOf(colours)}\\b(?: (?:back)?ground| paper)?`),
  slant: /\b(?:(?:leaning|slanting|tilted) (?:to the )?(left|right)|(upright|standing straight))\b/,
  ink: new RegExp(`\\b${anyOf(colours)}\\b`),
  place: /\b(centre|center|middle|left|right|top|upper|bottom|lower)\b/,
  size: new RegExp(`\\b${anyOf(Object.values(sizeWords).flat())}(?![\\w-])`),
  count: new RegExp(`\\b(an?|one|two|three)(?= (?:.* )?(?:${anyOf(digitWords)}(?:e?s)?|\\ds?)\\b)`),
  digit: new RegExp(`\\b(?:${anyOf(digitWords)}|(\\d))(e?s)?\\b`),
}
const other: Record<string, string> =
  { center: 'centre', middle: 'centre', upper: 'top', lower: 'bottom' }
const counts: Record<string, 1 | 2 | 3> = { a: 1, an: 1, one: 1, two: 2, three: 3 }

// %% ../nbs/16a_captions.ipynb f8bd7df2
/** The attributes that a sentence names. */
export function parseCaption(text: string): Partial<Attrs> {
  let rest = text.toLowerCase()
  const take = (name: keyof typeof finders) => {
    const found = rest.match(finders[name])
    rest = rest.replace(finders[name], ' ').replace(/ +/g, ' ')
    return found?.slice(1).find(Boolean)
  }
  take('prefix')
  const ground = take('ground'), slant = take('slant'), ink = take('ink'), place = take('place')
  const word = take('size'), size = choices.size.find(o => sizeWords[o].includes(word ?? ''))
  const number = take('count'), plural = finders.digit.exec(rest)?.[3], found = take('digit')
  const digit = found && (/\d/.test(found) ? +found : digitWords.indexOf(found))
  const count = number ? counts[number] : found && !plural ? 1 : undefined
  const all = { digit, ink, ground, size, place: place && (other[place] ?? place),
    slant: slant && (/left|right/.test(slant) ? slant : 'upright'), count }
  return Object.fromEntries(Object.entries(all).filter(([, o]) => o !== undefined && o !== ''))
}

// %% ../nbs/16a_captions.ipynb c19343b9
type Glyph = { k: number, x: number, y: number, h: number, w: number } // slope, middle, size

function slope(ink: Float32Array): number {
  let n = 1e-3, sx = 0, sy = 0, sxy = 0, syy = 0
  for (let y = 0, i = 0; y < 28; y++) {
    for (let x = 0; x < 28; x++, i++) {
      const o = ink[i]
      n += o, sx += o * x, sy += o * y, sxy += o * x * y, syy += o * y * y
    }
  }
  return (sxy - sx * sy / n) / (syy - sy * sy / n + 1e-3)
}

// %% ../nbs/16a_captions.ipynb fa8e2c86
function measure(ink: Float32Array): Glyph {
  const k = slope(ink)
  let left = 99, right = -99, top = 99, bottom = -99
  for (let y = 0, i = 0; y < 28; y++) {
    for (let x = -k * y, end = i + 28; i < end; i++, x++) {
      if (ink[i] < 0.2) continue
      left = x < left ? x : left, right = x > right ? x : right
      top = y < top ? y : top, bottom = y
    }
  }
  const [x, y] = [(left + right) / 2, (top + bottom) / 2]
  return { k, x, y, h: bottom - top + 1, w: right - left + 1 }
}

// %% ../nbs/16a_captions.ipynb 5234a762
/** MNIST's digits with their slants and sizes measured, by what they show. */
export class Glyphs {
  readonly pixels: Float32Array
  readonly all: Glyph[]
  /** Where the zeros are, where the ones … */
  readonly of: number[][]
  constructor({ x, y }: Digits) {
    this.pixels = Float32Array.from(x.data as ArrayLike<number>)
    const rows = [...chunks(this.pixels, 784)]
    this.all = rows.map(measure)
    this.of = choices.digit.map(d => rows.flatMap((_, i) => Number(y.data[i]) === d ? [i] : []))
  }
  [inspect.custom]() { return `Glyphs: ${this.all.length} digits` }
}

// %% ../nbs/16a_captions.ipynb 6bbc3e36
const side = 64, area = side * side * 3
type Spot = { x: number, y: number, size: number, slant: number } // of the middle, in pixels

/** Paint glyph `i` in a colour into the picture that begins at `start`. */
function paint(out: Float32Array, start: number, glyphs: Glyphs, i: number, spot: Spot, ink: number[]): void {
  const { k, x: gx, y: gy, h, w } = glyphs.all[i], { pixels } = glyphs, [r, g, b] = ink
  const step = Math.max(h, 0.9 * w) / spot.size
  const half = (h / 2 + 1) / step, wide = (w / 2 + 1) / step
  for (let y = Math.max(0, Math.ceil(spot.y - half)); y < Math.min(side, spot.y + half); y++) {
    const sy = gy + (y - spot.y) * step, top = Math.floor(sy), fy = sy - top
    if (top < 0 || top > 26) continue
    const mid = spot.x - spot.slant * (y - spot.y), row = 784 * i + 28 * top
    const from = Math.max(0, Math.ceil(mid - wide)), end = Math.min(side, mid + wide)
    for (let x = from, sx = gx + (x - mid) * step + k * sy; x < end; x++, sx += step) {
      const left = Math.floor(sx), o = row + left
      if (left < 0 || left > 26) continue
      const upper = pixels[o] + (sx - left) * (pixels[o + 1] - pixels[o])
      const lower = pixels[o + 28] + (sx - left) * (pixels[o + 29] - pixels[o + 28])
      const a = upper + fy * (lower - upper), at = start + 3 * (side * y + x)
      if (a === 0) continue
      out[at] += a * (r - out[at])
      out[at + 1] += a * (g - out[at + 1])
      out[at + 2] += a * (b - out[at + 2])
    }
  }
}

// %% ../nbs/16a_captions.ipynb a7c3a2bd
const heights = { small: 19, medium: 27, large: 38 }, shifts = { small: 18, medium: 15, large: 10 }
const ways = { centre: [0, 0], left: [-1, 0], right: [1, 0], top: [0, -1], bottom: [0, 1] }
const slants = { upright: 0, left: -0.4, right: 0.4 }

function spots({ size, place, slant, count }: Attrs, draw: Dice): Spot[] {
  const around = (width: number) => (draw() - 0.5) * width
  const [dx, dy] = ways[place].map(o => o * shifts[size]), isColumn = dx !== 0
  const x = 31.5 + dx + around(3), y = 31.5 + dy + around(3)
  const gap = isColumn ? heights[size] + 1.5 : heights[size]
  const shared = { size: heights[size] * (1 + around(0.1)), slant: slants[slant] + around(0.12) }
  return Array.from({ length: count }, (_, i) => {
    const o = (i - (count - 1) / 2) * gap
    return { ...shared, x: isColumn ? x : x + o, y: isColumn ? y + o : y }
  })
}

// %% ../nbs/16a_captions.ipynb e2e3e35c
const paints: Record<string, number[]> = { red: [0.86, 0.1, 0.1], orange: [0.98, 0.56, 0.08],
  yellow: [0.98, 0.9, 0.2], green: [0.08, 0.6, 0.22], blue: [0.14, 0.34, 0.92],
  purple: [0.56, 0.14, 0.62], white: [0.95, 0.95, 0.95], black: [0.05, 0.05, 0.05] }
const mix = (colour: string, draw: Dice) =>
  paints[colour].map(o => Math.min(1, Math.max(0, o + (draw() - 0.5) * 0.08)))

/** Fill a picture with one colour by copying what is filled. */
function fill(out: Float32Array, start: number, colour: number[]): void {
  out.set(colour, start)
  for (let n = 3; n < area; n *= 2) out.copyWithin(start + n, start, start + Math.min(n, area - n))
}

// %% ../nbs/16a_captions.ipynb ede850b2
/** Paint what `attrs` say into `out` from `start` on (64×64 RGB, 0 … 1); `seed` picks the hand. */
export function drawDigits(out: Float32Array, start: number, attrs: Attrs,
  { glyphs, seed = 0 }: { glyphs: Glyphs, seed?: number }): void {
  const draw = dice(3, seed), ink = mix(attrs.ink, draw)
  fill(out, start, mix(attrs.ground, draw))
  for (const spot of spots(attrs, draw)) {
    paint(out, start, glyphs, pick(draw, glyphs.of[attrs.digit]), spot, ink)
  }
}

// %% ../nbs/16a_captions.ipynb 1dd5d1f0
/** The place of each attribute in its list of choices. */
export function labelsOf(attrs: Attrs): number[] {
  return attrNames.map(name => (choices[name] as readonly unknown[]).indexOf(attrs[name]))
}

// %% ../nbs/16a_captions.ipynb c5235ba3
/** Pictures [64, 64, 3] of captioned digits and labels [7], made when asked for, always the same. */
export class CaptionedDigits {
  length: number
  private seed: number
  private pairs: Pairs
  constructor(public glyphs: Glyphs, { n = 50000, seed = 0, pairs = 'seen' as Pairs } = {}) {
    const ok = Number.isInteger(n) && n > 0
    if (!ok) throw new RangeError(`CaptionedDigits: wanted a length ≥ 1, got ${n}`)
    this.length = n
    this.seed = seed
    this.pairs = pairs
  }
  private own(i: number): number { return Math.floor(dice(this.seed, i)() * 2 ** 32) }
  attrs(i: number): Attrs { return randomAttrs(this.own(i), { pairs: this.pairs }) }
  caption(i: number): string { return caption(this.attrs(i), this.own(i)) }
  /** The pictures of items, one after the other. */
  pixels(ix: ArrayLike<number>): Float32Array {
    const out = new Float32Array(ix.length * area), { glyphs } = this
    for (let k = 0; k < ix.length; k++) {
      drawDigits(out, k * area, this.attrs(ix[k]), { glyphs, seed: this.own(ix[k]) })
    }
    return out
  }
  batch(ix: ArrayLike<number>): [x: tf.Tensor, y: tf.Tensor] {
    const n = ix.length, labels = Array.from(ix, i => labelsOf(this.attrs(i)))
    const x = tf.tensor4d(this.pixels(ix), [n, side, side, 3])
    return [x, tf.tensor2d(labels.flat(), [n, attrNames.length], 'int32')]
  }
  at(i: number): [x: tf.Tensor, y: tf.Tensor] {
    const batch = this.batch([i]), [x, y] = batch.map(o => tf.squeeze(o, [0]))
    tf.dispose(batch)
    return [x, y]
  }
  [inspect.custom]() {
    const { length, pairs, glyphs } = this
    return `CaptionedDigits: ${length} pictures (pairs: ${pairs}) from ${glyphs.all.length} digits`
  }
}
