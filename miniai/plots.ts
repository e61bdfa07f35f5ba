// Do not edit: made by "npm run export" from ../nbs/00b_plots.ipynb (cd7b9c8623e9)
// Pictures, charts and progress bars for all notebooks to come. You can skip this one at first reading.

import { randomUUID } from 'crypto'
import { deflateSync } from 'zlib'

// %% ../nbs/00b_plots.ipynb c67a2c31
/** What a cell shows, in one or more forms: MIME type → content. */
export type Bundle = Record<string, unknown>

// %% ../nbs/00b_plots.ipynb 6b4ead9c
type Message = { data: Bundle, metadata: Bundle, transient: Bundle }

function kernel(): ((message: Message, update: boolean) => void) | null {
  const tslab = require.cache[require.resolve('tslab/dist/jupyter')]
  return tslab?.exports.lastWriteDisplayData ?? null
}

// %% ../nbs/00b_plots.ipynb cddfe694
/** Where a bundle goes: `update` puts it in the place of the one shown under the same `id`. */
export type Where = { id?: string, update?: boolean, metadata?: Bundle }

// %% ../nbs/00b_plots.ipynb b237b699
/** Show `data` on the page; outside a kernel only give it back. */
export function display(data: Bundle, where: Where = {}): Bundle | undefined {
  const { id, update = false, metadata = {} } = where, send = kernel()
  if (!send) return data
  send({ data, metadata, transient: id ? { display_id: id } : {} }, update)
}

// %% ../nbs/00b_plots.ipynb 55586eee
const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1
  return n
})

function crc32(bytes: Uint8Array): number {
  let c = -1
  for (let i = 0; i < bytes.length; i++) c = crcTable[(c ^ bytes[i]) & 255] ^ (c >>> 8)
  return ~c >>> 0
}

// %% ../nbs/00b_plots.ipynb b005c61e
function uint32(...xs: number[]): Buffer {
  const o = Buffer.alloc(4 * xs.length)
  xs.forEach((x, i) => o.writeUInt32BE(x, 4 * i))
  return o
}

function chunk(name: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(name), data])
  return Buffer.concat([uint32(data.length), body, uint32(crc32(body))])
}

// %% ../nbs/00b_plots.ipynb ea6e75e3
/** Rows of `n` bytes, each with its 2 in front and without what the row above it has already. */
function filtered(pixels: Uint8Array, n: number): Buffer {
  const h = pixels.length / n, o = Buffer.alloc(h * (n + 1))
  for (let y = 0; y < h; y++) {
    o[y * (n + 1)] = 2
    for (let i = y * n; i < y * n + n; i++) o[i + y + 1] = pixels[i] - (y ? pixels[i - n] : 0)
  }
  return o
}

// %% ../nbs/00b_plots.ipynb 1cb75d0a
/** The bytes of a PNG file: rows of `w` pixels of 1 (gray), 2 (with alpha), 3 or 4 (RGBA) bytes. */
export function png(pixels: Uint8Array, w: number, channels: number): Buffer {
  const n = w * channels, kind = [8, [0, 0, 4, 2, 6][channels], 0, 0, 0]
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', Buffer.concat([uint32(w, pixels.length / n), Buffer.from(kind)])),
    chunk('IDAT', deflateSync(filtered(pixels, n))),
    chunk('IEND', Buffer.alloc(0))
  ])
}

// %% ../nbs/00b_plots.ipynb 1225cab1
/** Numbers with their shape, as a typed array has them, or a tensor. */
export type Shaped = { shape: number[] }
  & ({ data: ArrayLike<number> } | { dataSync(): ArrayLike<number> })

/** A picture `[h, w]` or `[h, w, 1 | 3 | 4]`: nested lists, shaped numbers, or a tensor. */
export type Img = ArrayLike<unknown> | Shaped

// %% ../nbs/00b_plots.ipynb c599daca
const isList = (x: any): x is any[] => Array.isArray(x) || (ArrayBuffer.isView(x) && 'length' in x)

function shapeOf(x: any): number[] {
  if (!isList(x)) return []
  const all = Array.from(x, o => `[${shapeOf(o)}]`), odd = all.findIndex(o => o !== all[0])
  if (odd > 0) throw new Error(`showImage: row ${odd} has shape ${all[odd]}, row 0 has ${all[0]}`)
  return [x.length, ...shapeOf(x[0])]
}

// %% ../nbs/00b_plots.ipynb 7da1bf36
type Pixels = { shape: number[], data: ArrayLike<number> }

const flat = (x: any): any[] => isList(x) ? Array.from(x).flatMap(flat) : [x]

function array(x: any): Pixels {
  if (typeof x?.dataSync === 'function') return { shape: x.shape, data: x.dataSync() }
  if (x?.shape) return { shape: x.shape, data: x.data ?? x }
  return { shape: shapeOf(x), data: flat(x) }
}

// %% ../nbs/00b_plots.ipynb e738cd46
/** Which number is black and which is white; `'auto'` takes the smallest and the largest. */
export type Range = [number, number] | 'auto'

// %% ../nbs/00b_plots.ipynb 51ab3789
/** The smallest and the largest of the finite numbers in `xs`. */
function extent(xs: ArrayLike<number>): [number, number] {
  let [lo, hi] = [Infinity, -Infinity]
  for (let i = 0; i < xs.length; i++) {
    if (xs[i] < lo && xs[i] > -Infinity) lo = xs[i]
    if (xs[i] > hi && xs[i] < Infinity) hi = xs[i]
  }
  return lo <= hi ? [lo, hi] : [0, 1]
}

function rangeOf(data: ArrayLike<number>, range?: Range): [number, number] {
  if (range) return range === 'auto' ? extent(data) : range
  const whole = Array.prototype.every.call(data, Number.isInteger)
  return [0, whole && extent(data)[1] > 1 ? 255 : 1]
}

// %% ../nbs/00b_plots.ipynb 76c0ac69
/** A colour map by its name. */
export type Cmap = 'gray' | 'viridis'

// %% ../nbs/00b_plots.ipynb 99919043
const cmaps: Record<Cmap, number[][]> = {
  gray: [0, 64, 128, 191, 255].map(o => [o, o, o]),
  viridis: [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]
}

function colour(t: number, cmap: Cmap): number[] {
  if (t !== t) return [255, 0, 0]
  const at = 4 * Math.min(Math.max(t, 0), 1), i = Math.min(Math.floor(at), 3), stops = cmaps[cmap]
  return stops[i].map((o, k) => Math.round(o + (stops[i + 1][k] - o) * (at - i)))
}

// %% ../nbs/00b_plots.ipynb 5617e9d2
function sizes(shape: number[]): [number, number, number] {
  const [h, w, c = 1] = shape, axes = shape.length === 2 || shape.length === 3
  if (axes && h > 0 && w > 0 && [1, 3, 4].includes(c)) return [h, w, c]
  throw new Error(`showImage: expected shape [h, w] or [h, w, 1 | 3 | 4], got [${shape}]`)
}

// %% ../nbs/00b_plots.ipynb 915bdba7
type Tile = { h: number, w: number, px: Uint8Array }

/** A picture as RGBA bytes. */
function rgba({ shape, data }: Pixels, cmap: Cmap, range?: Range): Tile {
  const [h, w, c] = sizes(shape), px = new Uint8ClampedArray(4 * h * w).fill(255)
  const [lo, hi] = rangeOf(data, range), unit = (i: number) => (data[i] - lo) / (hi - lo || 1)
  for (let i = 0; i < h * w; i++) {
    if (c === 1) px.set(colour(unit(i), cmap), 4 * i)
    else for (let k = 0; k < c; k++) px[4 * i + k] = 255 * unit(c * i + k)
  }
  return { h, w, px: new Uint8Array(px.buffer) }
}

// %% ../nbs/00b_plots.ipynb e4b833e5
const font = Buffer.from([
  'AAAAAAAAAF8AAAAHAAcAFH8UfxQkKn8qEiMTCGRiNklWIFAACAcDAAAcIkEAAEEiHAAqHH8cKggIPggIAIBwMAAICAgI',
  'CAAAYGAAIBAIBAI+UUlFPgBCf0AAcklJSUYhQUlNMxgUEn8QJ0VFRTk8SklJMUEhEQkHNklJSTZGSUkpHgAAFAAAAEA0',
  'AAAACBQiQRQUFBQUAEEiFAgCAVkJBj5BXVlOfBIREnx/SUlJNj5BQUEif0FBQT5/SUlJQX8JCQkBPkFBUXN/CAgIfwBB',
  'f0EAIEBBPwF/CBQiQX9AQEBAfwIcAn9/BAgQfz5BQUE+fwkJCQY+QVEhXn8JGSlGJklJSTIDAX8BAz9AQEA/HyBAIB8/',
  'QDhAP2MUCBRjAwR4BANhWUlNQwB/QUFBAgQIECAAQUFBfwQCAQIEQEBAQEAAAwcIACBUVHhAfyhERDg4REREKDhERCh/',
  'OFRUVBgACH4JAhikpJx4fwgEBHgARH1AACBAQD0AfxAoRAAAQX9AAHwEeAR4fAgEBHg4REREOPwYJCQYGCQkGPx8CAQE',
  'CEhUVFQkBAQ/RCQ8QEAgfBwgQCAcPEAwQDxEKBAoREyQkJB8RGRUTEQACDZBAAAAdwAAAEE2CAACAQIEAg=='
].join(''), 'base64')

/** The 8 dots of column `x` of a letter, as bits. */
const dots = (letter: string, x: number) => font[5 * (letter.charCodeAt(0) - 32) + x]

// %% ../nbs/00b_plots.ipynb 4c5e6240
type Canvas = { w: number, px: Uint8Array }

type Ink = { size: number, rgba: Uint8Array }

function square(to: Canvas, x: number, y: number, { size, rgba }: Ink): void {
  const [r, g, b, a] = rgba
  for (let j = y; j < y + size; j++) {
    for (let i = 4 * (j * to.w + x), end = i + 4 * size; i < end; i += 4) {
      to.px[i] = r
      to.px[i + 1] = g
      to.px[i + 2] = b
      to.px[i + 3] = a
    }
  }
}

// %% ../nbs/00b_plots.ipynb 85f0a8ff
const ink = new Uint8Array([136, 136, 136, 255])

function write(to: Canvas, text: string, x: number, y: number, size: number): void {
  const letters = [...text].map(o => o >= ' ' && o <= '~' ? o : '?')
  letters.forEach((o, n) => {
    for (let i = 0; i < 40; i++) {
      const [col, row] = [i % 5, Math.floor(i / 5)], at = x + size * (6 * n + col)
      if (dots(o, col) >> row & 1) square(to, at, y + size * row, { size, rgba: ink })
    }
  })
}

// %% ../nbs/00b_plots.ipynb 6ccbe44e
function paste(to: Canvas, tile: Tile, x: number, y: number, size: number): void {
  for (let i = 0; i < tile.h * tile.w; i++) {
    const [row, col] = [Math.floor(i / tile.w), i % tile.w]
    square(to, x + size * col, y + size * row, { size, rgba: tile.px.subarray(4 * i, 4 * i + 4) })
  }
}

/** Write `text` in the middle of `w` pixels, in the larger size if it fits, cut if it must be. */
function caption(to: Canvas, text: string, x: number, y: number, w: number): void {
  const size = 12 * text.length <= w + 2 ? 2 : 1
  const fits = text.slice(0, Math.floor((w + 2) / (6 * size)))
  write(to, fits, x + Math.max(0, Math.floor((w - 6 * size * fits.length + size) / 2)), y, size)
}

// %% ../nbs/00b_plots.ipynb 330dc44c
/** How to show pictures: `cols` in a row, `scale` times enlarged, in the colours of `cmap`. */
export type ImageOptions = {
  titles?: unknown[], cols?: number, scale?: number, cmap?: Cmap, range?: Range
}

// %% ../nbs/00b_plots.ipynb 7b225cd2
const squarish = (n: number) => Math.ceil(n / Math.floor(Math.sqrt(n)))
function whole(name: string, n: number): number {
  if (Number.isInteger(n) && n > 0) return n
  throw new Error(`showImages: ${name} is a whole number from 1 on, got ${n}`)
}

/** How many pictures stand in a row, and the size of a cell and of the whole, in pixels. */
function plan(tiles: Tile[], { titles = [], cols, scale = 1 }: ImageOptions) {
  const n = tiles.length, across = Math.min(n, whole('cols', cols ?? squarish(n)))
  const gap = n > 1 ? 4 : 0, top = titles.length ? 20 : 0
  whole('scale', scale)
  const cellW = scale * Math.max(...tiles.map(o => o.w)) + gap
  const cellH = scale * Math.max(...tiles.map(o => o.h)) + gap + top
  const w = across * cellW - gap, h = Math.ceil(n / across) * cellH - gap
  if (w * h > 2 ** 25) throw new Error(`showImages: ${n} pictures fill ${w} × ${h}; show fewer`)
  return { across, gap, top, cellW, cellH, w, h }
}

// %% ../nbs/00b_plots.ipynb b015c9b0
function grid(tiles: Tile[], options: ImageOptions): Canvas {
  const { across, gap, top, cellW, cellH, w, h } = plan(tiles, options)
  const { titles = [], scale = 1 } = options
  const to = { w, px: new Uint8Array(4 * w * h) }
  tiles.forEach((o, i) => {
    const x = (i % across) * cellW, y = Math.floor(i / across) * cellH
    if (i < titles.length) caption(to, String(titles[i]), x, y, cellW - gap)
    paste(to, o, x, y + top, scale)
  })
  return to
}

// %% ../nbs/00b_plots.ipynb 344ecc1a
/** Show pictures, each enlarged to about `size` pixels unless `scale` is given. */
function images(all: Pixels[], options: ImageOptions, size: number): Bundle | undefined {
  const { cmap = 'gray', range, titles = [] } = options, tiles = all.map(o => rgba(o, cmap, range))
  const { h, w } = tiles[0], scale = options.scale ?? Math.max(1, Math.round(size / Math.max(h, w)))
  const to = grid(tiles, { ...options, scale })
  const names = titles.length ? `: ${titles.join(', ')}` : ''
  const data = {
    'image/png': png(to.px, to.w, 4).toString('base64'),
    'text/plain': `${all.length > 1 ? `${all.length} images` : 'image'} ${h}×${w}${names}`
  }
  const shown = { width: to.w, height: to.px.length / 4 / to.w }
  return display(data, { metadata: { 'image/png': shown } })
}

// %% ../nbs/00b_plots.ipynb 7bc25219
/** Show a picture `[h, w]` or `[h, w, 1 | 3 | 4]`: whole numbers count to 255, others to 1. */
export function showImage(img: Img, options: ImageOptions & { title?: unknown } = {}): Bundle | undefined {
  const { title, ...rest } = options
  return images([array(img)], { ...rest, titles: title === undefined ? [] : [title] }, 168)
}

// %% ../nbs/00b_plots.ipynb 9581541e
function split(o: Pixels): Pixels[] {
  const [n, ...shape] = o.shape, size = shape.reduce((a, b) => a * b, 1)
  const part = (i: number) => Array.prototype.slice.call(o.data, i * size, (i + 1) * size)
  return Array.from({ length: n }, (_, i) => ({ shape, data: part(i) }))
}

// %% ../nbs/00b_plots.ipynb ea4f4a6c
/** Show pictures in a grid: a list of pictures, or one array `[n, h, w]` or `[n, h, w, c]`. */
export function showImages(imgs: Img | Img[], options: ImageOptions = {}): Bundle | undefined {
  const n = Array.isArray(imgs) ? imgs.length : array(imgs).shape[0]
  if (!(n > 0 && n <= 1024)) throw new Error(`showImages: expected 1 to 1024 pictures, got ${n}`)
  return images(Array.isArray(imgs) ? imgs.map(array) : split(array(imgs)), options, 96)
}

// %% ../nbs/00b_plots.ipynb 833450dc
/** Numbers or names along an axis: a list, a typed array or a tensor. */
export type Values = ArrayLike<number | string> | { dataSync(): ArrayLike<number> }

/** A curve, bars, a histogram or a heatmap in the words of plotly.com/javascript/reference. */
export interface Trace {
  type?: string, mode?: string, name?: string, x?: Values, y?: Values, z?: Img, nbinsx?: number
  line?: { color?: string, width?: number, dash?: string }
  marker?: { color?: string | string[], size?: number, opacity?: number }, [more: string]: unknown
}

// %% ../nbs/00b_plots.ipynb ce6dca64
/** One axis of a chart; `type: 'log'` for powers of ten. */
export interface Axis {
  title?: string | { text: string }, type?: string, range?: number[], [more: string]: unknown
}

/** Titles, axes and size of a chart in plotly.js's words. */
export interface Layout {
  title?: string | { text: string }, xaxis?: Axis, yaxis?: Axis, width?: number, height?: number
  showlegend?: boolean, barmode?: string, [more: string]: unknown
}

// %% ../nbs/00b_plots.ipynb 62b9b5ae
const short = (o: any) => typeof o === 'number' && o % 1 ? Number(o.toPrecision(7)) : o
const values = (x: any): any[] => Array.from(x.dataSync ? x.dataSync() : x, short)
const titled = (o: any) => typeof o?.title === 'string' ? { ...o, title: { text: o.title } } : o

function tidy(o: Trace): any {
  const t: any = { type: 'scatter', ...o }
  for (const k of ['x', 'y']) if (t[k]) t[k] = values(t[k])
  if (t.z) t.z = split(array(t.z)).map(row => values(row.data))
  return t.type === 'heatmap' ? { colorscale: 'Viridis', ...t } : t
}

// %% ../nbs/00b_plots.ipynb a31fe634
const palette = ['#4c8bf5', '#f28e2b', '#3aa76d', '#e0564f', '#9a6fd0', '#a07855', '#d86fb0']
const faint = 'rgba(128,128,128,.25)', clear = 'rgba(0,0,0,0)'
const lines0 = { gridcolor: faint, zerolinecolor: faint, linecolor: '#888', tickcolor: '#888' }
const axis0 = { ...lines0, automargin: true }

function neutral(o: Layout): any {
  return {
    height: 400, margin: { l: 60, r: 20, t: o.title ? 50 : 20, b: 50 }, font: { color: '#888' },
    colorway: palette, paper_bgcolor: clear, plot_bgcolor: clear,
    modebar: { bgcolor: clear, color: '#888' }, ...titled(o),
    xaxis: { ...axis0, ...titled(o.xaxis) }, yaxis: { ...axis0, ...titled(o.yaxis) }
  }
}

// %% ../nbs/00b_plots.ipynb b51c6ed0
function niceStep(span: number, n: number): number {
  const rough = span / n, power = 10 ** Math.floor(Math.log10(rough))
  return power * ([1, 2, 5].find(o => o * power >= rough * 0.99) ?? 10)
}

function niceTicks(lo: number, hi: number, n = 6): number[] {
  const step = niceStep(hi - lo || 1, n), first = Math.ceil(lo / step - 1e-9)
  const many = Math.floor(hi / step + 1e-9) - first + 1
  return Array.from({ length: many }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

// %% ../nbs/00b_plots.ipynb 4bb22ec1
/** A number with few letters: 1.5M, 50k, 0.2, 1e−5. */
function si(o: number): string {
  const a = Math.abs(o), round = (x: number) => Number(x.toPrecision(3))
  if (a >= 1e9) return `${round(o / 1e9)}G`
  if (a >= 1e6) return `${round(o / 1e6)}M`
  if (a >= 1e4) return `${round(o / 1e3)}k`
  const text = a && a < 1e-3 ? round(o).toExponential() : String(Number(o.toPrecision(6)))
  return text.replaceAll('-', '−')
}

// %% ../nbs/00b_plots.ipynb 851fde6b
type Ruler = { names: string[], log: boolean, at: (v: any) => number }

function ruler(all: any[], axis: any): Ruler {
  const names = all.some(o => typeof o === 'string') ? [...new Set(all.map(String))] : []
  const log = axis.type === 'log', place = new Map(names.map((o, i) => [o, i]))
  if (names.length) return { names, log: false, at: v => place.get(String(v)) ?? NaN }
  return { names, log, at: v => log ? Math.log10(v) : Number(v ?? NaN) }
}

// %% ../nbs/00b_plots.ipynb c807a963
type Tick = { at: number, text: string }

function ticks({ names, log }: Ruler, [a, b]: number[]): Tick[] {
  const [lo, hi] = a < b ? [a, b] : [b, a]
  if (names.length) return names.map((text, at) => ({ at, text }))
  if (!log) return niceTicks(lo, hi).map(at => ({ at, text: si(at) }))
  const tens = niceTicks(lo, hi).filter(Number.isInteger)
  if (tens.length > 1) return tens.map(at => ({ at, text: si(10 ** at) }))
  return niceTicks(10 ** lo, 10 ** hi).map(o => ({ at: Math.log10(o), text: si(o) }))
}

// %% ../nbs/00b_plots.ipynb b635929c
function bins(xs: number[], n = Math.min(50, Math.max(5, Math.ceil(Math.sqrt(xs.length))))) {
  const [lo, hi] = extent(xs), width = niceStep(hi - lo || 1, n)
  const bin = (o: number) => Math.floor(o / width + 1e-9), first = bin(lo)
  const y: number[] = new Array(bin(hi) - first + 1).fill(0)
  for (const o of xs) if (Number.isFinite(o)) y[bin(o) - first]++
  return { x: y.map((_, i) => short((first + i + 0.5) * width)), y, width }
}

// %% ../nbs/00b_plots.ipynb 3b6e1c2d
function binned(t: any): any {
  if (t.type !== 'histogram' || t.xbins || !t.x) return t
  const { x, width } = bins(t.x, t.nbinsx), [from, to] = [x[0] - width / 2, x.at(-1)! + width / 2]
  return { ...t, xbins: { start: short(from), end: short(to), size: width } }
}

// %% ../nbs/00b_plots.ipynb 5172a410
type Mark = { kind: string, name: string, at: number[][], t: any, color: (i: number) => string }

const count = (n: number) => Array.from({ length: n }, (_, i) => i)

/** A trace with its `x` and `y` written out. */
function spelled(t: any): any {
  if (t.type === 'histogram') return { ...t, ...bins(t.x, t.nbinsx) }
  const [nx, ny] = t.z ? [t.z[0].length, t.z.length] : [t.y.length, 0]
  return { ...t, x: t.x ?? count(nx), y: t.y ?? count(ny) }
}

function hue(t: any, i: number): (k: number) => string {
  const own = t.marker?.color ?? t.line?.color, base = palette[i % palette.length]
  return k => String((Array.isArray(own) ? own[k] : own) ?? base)
}

// %% ../nbs/00b_plots.ipynb 429a8e2d
/** Left and right end of the bars at `xs`; they are number `k` of `n` that share each place. */
function sides(xs: number[], width: number | undefined, [k, n]: number[]): number[][] {
  const gaps = xs.slice(1).map((o, i) => Math.abs(o - xs[i])).filter(o => o > 0)
  const w = width ?? 0.8 * Math.min(...gaps, gaps.length ? Infinity : 1) / n
  return xs.map(o => o - w * (width ? 0.5 : n / 2 - k)).map(left => [left, left + w])
}

// %% ../nbs/00b_plots.ipynb fca733ee
function mark(t: any, i: number, all: any[], [x, y]: Ruler[]): Mark {
  const rest = { t, name: String(t.name ?? `trace ${i}`), color: hue(t, i) }
  const xs: number[] = t.x.map(x.at), ys: number[] = t.y.map(y.at)
  const group = all.filter(o => o.type === 'bar'), share = [group.indexOf(t), group.length]
  if (t.type === 'heatmap') {
    const low = [xs[0] - 0.5, ys[0] - 0.5], high = [xs.at(-1)! + 0.5, ys.at(-1)! + 0.5]
    return { ...rest, kind: 'heat', at: [low, high] }
  }
  if (t.type !== 'scatter') {
    return { ...rest, kind: 'bar', at: sides(xs, t.width, share).map((o, k) => [...o, ys[k]]) }
  }
  const kind = t.mode ?? (xs.length > 20 ? 'lines' : 'lines+markers')
  return { ...rest, kind, at: xs.map((o, k) => [o, ys[k]]) }
}

// %% ../nbs/00b_plots.ipynb 78893aeb
function reach(vs: number[], axis: any, { names }: Ruler, pad: number): number[] {
  if (axis.range) return axis.range
  const [lo, hi] = names.length ? [-0.5, names.length - 0.5] : extent(vs)
  const p = names.length ? 0 : (hi - lo || Math.abs(hi) || 1) * pad
  const ends = lo === hi ? [lo - p, hi + p] : [lo && lo - p, hi && hi + p]
  return axis.autorange === 'reversed' ? ends.reverse() : ends
}

// %% ../nbs/00b_plots.ipynb fa6b16c5
type Place = (v: number) => number

const r1 = (v: number) => Number(v.toFixed(1))
const safe = (s: unknown) => String(s).replace(/[<>&"]/g, o => `&#${o.charCodeAt(0)};`)

function line({ at, t, color }: Mark, X: Place, Y: Place): string {
  let path = '', pen = 'M'
  for (const [x, y] of at) {
    const there = Number.isFinite(x + y)
    if (there) path += `${pen}${r1(X(x))} ${r1(Y(y))}`
    pen = there ? 'L' : 'M'
  }
  const dash = t.line?.dash && t.line.dash !== 'solid' ? ' stroke-dasharray="6 4"' : ''
  const style = `stroke="${safe(color(0))}" stroke-width="${Number(t.line?.width ?? 2)}"`
  return `<path d="${path}" fill="none" ${style}${dash}/>`
}

// %% ../nbs/00b_plots.ipynb f373c7f1
function dotted({ at, t, color }: Mark, X: Place, Y: Place): string {
  const paths = new Map<string, string>(), size = Number(t.marker?.size) || 6
  at.forEach(([x, y], i) => {
    const c = color(i)
    if (Number.isFinite(x + y)) paths.set(c, `${paths.get(c) ?? ''}M${r1(X(x))} ${r1(Y(y))}h0`)
  })
  const opacity = Number(t.marker?.opacity ?? t.opacity ?? 1)
  const style = `stroke-width="${size}" stroke-linecap="round" stroke-opacity="${opacity}"`
  return [...paths].map(([c, d]) => `<path d="${d}" stroke="${safe(c)}" ${style}/>`).join('')
}

// %% ../nbs/00b_plots.ipynb d16a9eb8
/** The attributes of a rectangle between two corners. */
function rect([x0, y0]: number[], [x1, y1]: number[]): string {
  const size = `width="${r1(Math.abs(x1 - x0))}" height="${r1(Math.abs(y1 - y0))}"`
  return `x="${r1(Math.min(x0, x1))}" y="${r1(Math.min(y0, y1))}" ${size}`
}

function bars({ at, t, color }: Mark, X: Place, Y: Place, floor: number): string {
  const opacity = `fill-opacity="${Number(t.opacity ?? 0.9)}"`
  const bar = ([x0, x1, y]: number[], i: number) => {
    const box = rect([X(x0), Y(y)], [X(x1), Y(floor)])
    return Number.isFinite(y) ? `<rect ${box} fill="${safe(color(i))}" ${opacity}/>` : ''
  }
  return at.map(bar).join('')
}

// %% ../nbs/00b_plots.ipynb 5ec0e4e7
function heat({ at, t }: Mark, X: Place, Y: Place): string {
  const cmap = t.colorscale === 'Greys' ? 'gray' : 'viridis'
  const tile = rgba(array(t.z.slice().reverse()), cmap, 'auto')
  const [low, high] = at.map(([x, y]) => [X(x), Y(y)]), upside = low[1] < high[1]
  const flip = upside ? ` transform="translate(0 ${low[1] + high[1]}) scale(1 -1)"` : ''
  const style = 'preserveAspectRatio="none" style="image-rendering:pixelated"'
  const href = `data:image/png;base64,${png(tile.px, tile.w, 4).toString('base64')}`
  return `<image ${rect(low, high)} ${style}${flip} href="${href}"/>`
}

// %% ../nbs/00b_plots.ipynb 9d3e1242
type Box = { l: number, r: number, t: number, b: number, h: number }

const middle = 'text-anchor="middle"', end = 'text-anchor="end"'
const turned = (by: number, x: number, y: number) => `transform="rotate(${by} ${r1(x)} ${r1(y)})"`

function text(s: unknown, x: number, y: number, more: string): string {
  return `<text x="${r1(x)}" y="${r1(y)}" ${more}>${safe(s)}</text>`
}

function rule([x0, y0]: number[], [x1, y1]: number[]): string {
  return `<path d="M${r1(x0)} ${r1(y0)}L${r1(x1)} ${r1(y1)}" stroke="#888" stroke-opacity=".3"/>`
}

// %% ../nbs/00b_plots.ipynb 04b05e1f
function frameX(marks: Tick[], X: Place, { l, r, t, b }: Box): string {
  const slanted = Math.max(...marks.map(o => o.text.length)) * 7 > (r - l) / marks.length
  const name = (s: string, x: number) => slanted
    ? text(s, x, b + 14, `${end} ${turned(-30, x, b + 14)}`) : text(s, x, b + 18, middle)
  return marks.map(o => rule([X(o.at), t], [X(o.at), b]) + name(o.text, X(o.at))).join('')
}

function frameY(marks: Tick[], Y: Place, { l, r }: Box): string {
  const one = (o: Tick, y: number) => rule([l, y], [r, y]) + text(o.text, l - 6, y + 4, end)
  return marks.map(o => one(o, Y(o.at))).join('')
}

// %% ../nbs/00b_plots.ipynb 6a38c3be
function titles({ title, xaxis, yaxis }: any, { l, r, t, b, h }: Box): string {
  return text(title?.text ?? '', (l + r) / 2, 26, `${middle} font-size="17"`)
    + text(xaxis.title?.text ?? '', (l + r) / 2, h - 8, middle)
    + text(yaxis.title?.text ?? '', 16, (t + b) / 2, `${middle} ${turned(-90, 16, (t + b) / 2)}`)
}

function legend(marks: Mark[], { r, t }: Box): string {
  const entry = ({ name, color }: Mark, y: number) => {
    const box = rect([r + 14, y], [r + 28, y + 10])
    return `<rect ${box} fill="${safe(color(0))}"/>${text(name, r + 34, y + 10, '')}`
  }
  return marks.map((o, i) => entry(o, t + 20 * i)).join('')
}

// %% ../nbs/00b_plots.ipynb 9cb25bed
function drawn(o: Mark, X: Place, Y: Place, floor: number): string {
  if (o.kind === 'heat') return heat(o, X, Y)
  if (o.kind === 'bar') return bars(o, X, Y, floor)
  const has = (kind: string) => o.kind.includes(kind)
  return (has('lines') ? line(o, X, Y) : '') + (has('markers') ? dotted(o, X, Y) : '')
}

// %% ../nbs/00b_plots.ipynb 16a58f88
function drawChart(all: any[], layout: any, w: number, h: number): string {
  const ts = all.map(spelled), has = (type: string) => ts.some(o => o.type === type)
  const rulers = ['x', 'y'].map(k => ruler(ts.flatMap(o => o[k]), layout[`${k}axis`]))
  const marks = ts.map((t, i) => mark(t, i, ts, rulers)), pad = has('heatmap') ? 0 : 0.05
  const [x, y] = rulers, zero = (has('bar') || has('histogram')) && !y.log ? [0] : []
  const places = marks.flatMap(o => o.at), tops = places.map(p => p.at(-1)!)
  const spanX = reach(places.flatMap(p => p.slice(0, -1)), layout.xaxis, x, pad)
  const spanY = reach([...zero, ...tops], layout.yaxis, y, pad)

  const named = marks.length > 1 && layout.showlegend !== false
  const slant = 3.2 * Math.max(0, ...x.names.map(o => o.length))
  const [r, b] = [w - (named ? 150 : 20), h - 40 - Math.max(12, slant)]
  const box = { l: 64, r, t: layout.title ? 46 : 16, b, h }
  const X: Place = v => box.l + (v - spanX[0]) / (spanX[1] - spanX[0]) * (box.r - box.l)
  const Y: Place = v => box.b - (v - spanY[0]) / (spanY[1] - spanY[0]) * (box.b - box.t)
  return frameX(ticks(x, spanX), X, box) + frameY(ticks(y, spanY), Y, box)
    + marks.map(o => drawn(o, X, Y, zero[0] ?? spanY[0])).join('')
    + titles(layout, box) + (named ? legend(marks, box) : '')
}

// %% ../nbs/00b_plots.ipynb 80cd6ed5
const kinds = ['scatter', 'bar', 'histogram', 'heatmap']

function picture(traces: any[], layout: any): string {
  const [w, h] = [layout.width ?? 700, layout.height]
  const other = (o: any) => o.orientation === 'h' || o.xaxis || o.yaxis || !kinds.includes(o.type)
  const odd = traces.find(other)
  const sentence = `This ${odd?.type} chart is drawn in JupyterLab only.`
  const inner = odd ? text(sentence, w / 2, h / 2, middle) : drawChart(traces, layout, w, h)
  const size = `viewBox="0 0 ${w} ${h}" width="${w}" height="${h}"`
  const style = 'font-family="sans-serif" font-size="12" fill="#888"'
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${style}>${inner}</svg>`
}

// %% ../nbs/00b_plots.ipynb a1a8f098
/** A chart as a bundle: plotly's description, a still picture, and a line of text. */
export function figure(traces: Trace[], layout: Layout = {}): Bundle {
  const data = traces.map(tidy).map(binned), full = neutral(layout)
  const title = full.title ? ` “${full.title.text}”` : ''
  return {
    'application/vnd.plotly.v1+json': { data, layout: full },
    'image/svg+xml': picture(data, full),
    'text/plain': `chart${title}: ${data.map(o => o.name ?? o.type).join(', ')}`
  }
}

// %% ../nbs/00b_plots.ipynb 289b1f93
/** Show a chart: traces and layout in plotly.js's words. */
export function plot(traces: Trace[], layout?: Layout): Bundle | undefined {
  return display(figure(traces, layout))
}

// %% ../nbs/00b_plots.ipynb 7404f6d7
const clock = (s: number) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`

// %% ../nbs/00b_plots.ipynb 9a07b26f
/** What stands beside the bar: done of total, time used and left, rate since `from`. */
function pace(done: number, total: number | undefined, s: number, from = 0): string {
  const rate = (done - from) / Math.max(s, 1e-3), of = total === undefined ? '' : ` of ${si(total)}`
  const left = total && rate ? ` < ${clock((total - done) / rate)}` : ''
  return `${si(done)}${of} · ${clock(s)}${left} · ${si(Number(rate.toPrecision(3)))}/s`
}

// %% ../nbs/00b_plots.ipynb 7774bd50
type State = {
  count: number, from?: number, total?: number, label: string, note: string
  chart?: { traces: Trace[], layout?: Layout }
}

function bar(o: State, seconds: number, last: boolean): Bundle {
  const of = o.total === undefined ? '' : ` of ${o.total}`
  const words = [pace(o.count, o.total, seconds, o.from), o.note].filter(Boolean)
  const name = o.label || 'progress', live = [`${name} ${words[0]}`, ...words.slice(1)].join(' · ')
  const plain = last ? `${name}: ${o.count}${of}` : live
  const end = last ? { title: [plain, o.note].filter(Boolean).join(' · ') } : {}
  const still: Bundle = o.chart ? figure(o.chart.traces, { ...o.chart.layout, ...end }) : {}
  if (last && o.chart) return { ...still, 'text/plain': plain }
  const size = of ? `value="${o.count}" max="${o.total || 1}"` : last ? 'value="1"' : ''
  const bar = `${safe(o.label)} <progress ${size} style="width:20em"></progress>`
  const html = `${bar} ${words.map(safe).join(' · ')}`
  return { 'text/html': `<div>${html}</div>${still['image/svg+xml'] ?? ''}`, 'text/plain': plain }
}

// %% ../nbs/00b_plots.ipynb 9635c6f7
function showBar(o: State, seconds: number, { last, ...where }: Where & { last: boolean }): void {
  if (kernel()) return void display(bar(o, seconds, last), where)
  const words = pace(o.count, o.total, seconds, o.from)
  const line = `${o.label} ${words} ${o.note}${last ? '\n' : ''}`
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`)
}

// %% ../nbs/00b_plots.ipynb 46fff5ad
/** What one can loop over, with `for` or with `for await`. */
export type Items<T> = Iterable<T> | AsyncIterable<T>

// %% ../nbs/00b_plots.ipynb 0eb6dea4
/** A live bar: loop over it, or call `step` and `finish`; `note` and `chart` are drawn with it. */
export class Progress<T> implements Iterable<T>, AsyncIterable<T> {
  count = 0
  from = 0
  note = ''
  chart?: State['chart']
  private id = randomUUID()
  private began = performance.now()
  private drawn = 0

  constructor(public items: Items<T>, public total?: number, public label = '') { this.draw() }

  private draw(last = false): void {
    const now = performance.now(), where = { id: this.id, update: this.drawn > 0, last }
    this.drawn = now
    showBar(this, (now - this.began) / 1000, where)
  }

  /** Go on where an earlier run stopped: what it did counts as done, but not for the pace. */
  goOn(count: number): void { this.count = this.from = count }

  /** Count `n` more. */
  step(n = 1): void {
    this.count += n
    if (performance.now() - this.drawn >= 100) this.draw()
  }

  /** Draw the last state. */
  finish(): void { this.draw(true) }

  *[Symbol.iterator](): Generator<T> {
    try {
      for (const o of this.items as Iterable<T>) { yield o; this.step() }
    } finally { this.finish() }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for await (const o of this.items) { yield o; this.step() }
    } finally { this.finish() }
  }
}

// %% ../nbs/00b_plots.ipynb d542f36b
/** What stands before a bar, and how much there is to count if the items do not tell. */
export type Counting = { label?: string, total?: number }

// %% ../nbs/00b_plots.ipynb dbe863bd
/** Loop over `items`, or over 0 … n − 1, behind a live bar; `for` and `for await` both work. */
export function progress(n: number, options?: { label?: string }): Progress<number>
export function progress<T>(items: Items<T>, options?: Counting): Progress<T>
export function progress(items: any, { label, total }: Counting = {}): Progress<unknown> {
  if (typeof items === 'number') return new Progress(Array(items).keys(), items, label)
  return new Progress(items, total ?? items.length ?? items.size, label)
}
