// Do not edit: made by "npm run export" from ../nbs/00b_plots.ipynb (50288a38503b)
// Pictures, charts and progress bars for all notebooks to come. You can skip this one at first reading.

import { randomUUID } from 'crypto'
import { deflateSync } from 'zlib'

// %% ../nbs/00b_plots.ipynb c67a2c31
/** What a cell shows, in one or more forms: MIME type → content. */
export type Bundle = Record<string, unknown>

// %% ../nbs/00b_plots.ipynb c116ef59
type Send = (message: { data: Bundle, metadata: Bundle, transient: Bundle }, update: boolean) => void

const kernel = (): Send | null =>
  require.cache[require.resolve('tslab/dist/jupyter')]?.exports.lastWriteDisplayData ?? null

// %% ../nbs/00b_plots.ipynb f7f235f2
/** Show `data` on the page, `update: true` in the place of what has the same `id`; outside a kernel only return it. */
export function display(data: Bundle, { id = '', update = false, metadata = {} as Bundle } = {}): Bundle | undefined {
  const send = kernel()
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

// %% ../nbs/00b_plots.ipynb 411fa506
function chunk(name: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(name), data]), ends = Buffer.alloc(8)
  ends.writeUInt32BE(data.length, 0)
  ends.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)])
}

// %% ../nbs/00b_plots.ipynb 63945d22
/** The bytes of a PNG file from rows of `w` pixels of 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGBA) bytes. */
export function png(pixels: Uint8Array, w: number, channels: number): Buffer {
  const n = w * channels, h = pixels.length / n, rows = Buffer.alloc(h * (n + 1))
  for (let y = 0; y < h; y++) {
    rows[y * (n + 1)] = 2
    for (let i = 0; i < n; i++) rows[y * (n + 1) + 1 + i] = pixels[y * n + i] - (y ? pixels[(y - 1) * n + i] : 0)
  }
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, [0, 0, 4, 2, 6][channels], 0, 0, 0])
  head.writeUInt32BE(w, 0)
  head.writeUInt32BE(h, 4)
  const chunks = [chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...chunks])
}

// %% ../nbs/00b_plots.ipynb c3838028
/** Rows of pixels: nested lists, a typed array with its shape, or a tensor; `[h, w]` or `[h, w, 1 | 3 | 4]`. */
export type Img = ArrayLike<unknown> | { shape: number[], data: ArrayLike<number> } | { shape: number[], dataSync(): ArrayLike<number> }

// %% ../nbs/00b_plots.ipynb 8634dbd0
const isList = (x: any): x is ArrayLike<any> => Array.isArray(x) || (ArrayBuffer.isView(x) && 'length' in x)

function shapeOf(x: any): number[] {
  if (!isList(x)) return []
  const odd = Array.prototype.findIndex.call(x, o => String(shapeOf(o)) !== String(shapeOf(x[0])))
  if (odd > 0) throw new Error(`showImage: row ${odd} has shape [${shapeOf(x[odd])}], row 0 has [${shapeOf(x[0])}]`)
  return [x.length, ...shapeOf(x[0])]
}

// %% ../nbs/00b_plots.ipynb 99508d07
type Pixels = { shape: number[], data: ArrayLike<number> }

const flat = (x: any): number[] => isList(x) ? Array.prototype.flatMap.call(x, flat) as number[] : [x]

function array(x: any): Pixels {
  if (typeof x?.dataSync === 'function') return { shape: x.shape, data: x.dataSync() }
  if (x?.shape) return { shape: x.shape, data: x.data ?? x }
  return { shape: shapeOf(x), data: flat(x) }
}

// %% ../nbs/00b_plots.ipynb a33ddc86
/** From which number to which a picture goes from dark to light. */
export type Range = [number, number] | 'auto'

// %% ../nbs/00b_plots.ipynb 9050c34e
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
  const bytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray
  const whole = bytes || (Array.prototype.every.call(data, o => Number.isInteger(o)) && extent(data)[1] > 1)
  return [0, whole ? 255 : 1]
}

// %% ../nbs/00b_plots.ipynb 4ae724e1
const cmaps = {
  gray: [[0, 0, 0], [64, 64, 64], [128, 128, 128], [191, 191, 191], [255, 255, 255]],
  viridis: [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]
}

function colour(t: number, cmap: keyof typeof cmaps): number[] {
  if (t !== t) return [255, 0, 0]
  const at = 4 * Math.min(Math.max(t, 0), 1), i = Math.min(Math.floor(at), 3), stops = cmaps[cmap]
  return stops[i].map((o, k) => Math.round(o + (stops[i + 1][k] - o) * (at - i)))
}

// %% ../nbs/00b_plots.ipynb 5e567461
function checkShape(shape: number[]): [number, number, number] {
  const [h, w, c = 1] = shape
  const ok = (shape.length === 2 || shape.length === 3) && h > 0 && w > 0 && [1, 3, 4].includes(c)
  if (!ok) throw new Error(`showImage: expected shape [h, w] or [h, w, 1 | 3 | 4], got [${shape}]`)
  return [h, w, c]
}

/** RGBA bytes of one picture. */
function rgba(img: Pixels, cmap: keyof typeof cmaps, range?: Range): { h: number, w: number, px: Uint8Array } {
  const [h, w, c] = checkShape(img.shape), px = new Uint8Array(4 * h * w).fill(255)
  const [lo, hi] = rangeOf(img.data, range), unit = (i: number) => (img.data[i] - lo) / (hi - lo || 1)
  for (let i = 0; i < h * w; i++) {
    if (c === 1) px.set(colour(unit(i), cmap), 4 * i)
    else for (let k = 0; k < c; k++) px[4 * i + k] = Math.round(255 * Math.min(Math.max(unit(c * i + k), 0), 1))
  }
  return { h, w, px }
}

// %% ../nbs/00b_plots.ipynb 3baaffdb
const font = Buffer.from(
  'AAAAAAAAAF8AAAAHAAcAFH8UfxQkKn8qEiMTCGRiNklWIFAACAcDAAAcIkEAAEEiHAAqHH8cKggIPggIAIBwMAAICAgICAAAYGAAIBAIBAI+'
  + 'UUlFPgBCf0AAcklJSUYhQUlNMxgUEn8QJ0VFRTk8SklJMUEhEQkHNklJSTZGSUkpHgAAFAAAAEA0AAAACBQiQRQUFBQUAEEiFAgCAVkJBj5B'
  + 'XVlOfBIREnx/SUlJNj5BQUEif0FBQT5/SUlJQX8JCQkBPkFBUXN/CAgIfwBBf0EAIEBBPwF/CBQiQX9AQEBAfwIcAn9/BAgQfz5BQUE+fwkJ'
  + 'CQY+QVEhXn8JGSlGJklJSTIDAX8BAz9AQEA/HyBAIB8/QDhAP2MUCBRjAwR4BANhWUlNQwB/QUFBAgQIECAAQUFBfwQCAQIEQEBAQEAAAwcI'
  + 'ACBUVHhAfyhERDg4REREKDhERCh/OFRUVBgACH4JAhikpJx4fwgEBHgARH1AACBAQD0AfxAoRAAAQX9AAHwEeAR4fAgEBHg4REREOPwYJCQY'
  + 'GCQkGPx8CAQECEhUVFQkBAQ/RCQ8QEAgfBwgQCAcPEAwQDxEKBAoREyQkJB8RGRUTEQACDZBAAAAdwAAAEE2CAACAQIEAg==', 'base64')

/** The 8 rows of dots of one letter's column `x`. */
const dots = (letter: string, x: number) => font[5 * ((letter.charCodeAt(0) - 32) % 95) + x]

// %% ../nbs/00b_plots.ipynb a97f2190
type Canvas = { w: number, px: Uint8Array }

function block(to: Canvas, x: number, y: number, size: number, rgba: ArrayLike<number>): void {
  for (let j = y; j < y + size; j++) for (let i = x; i < x + size; i++) to.px.set(rgba, 4 * (j * to.w + i))
}

function write(to: Canvas, text: string, x: number, y: number, size: number): void {
  const letters = [...text].map(o => o >= ' ' && o <= '~' ? o : '?')
  letters.forEach((o, n) => {
    for (let i = 0; i < 40; i++) {
      if (dots(o, i % 5) >> (i / 5 | 0) & 1) block(to, x + size * (6 * n + i % 5), y + size * (i / 5 | 0), size, [136, 136, 136, 255])
    }
  })
}

// %% ../nbs/00b_plots.ipynb 7e5516be
type Tile = { h: number, w: number, px: Uint8Array }

function place(to: Canvas, tile: Tile, x: number, y: number, scale: number): void {
  for (let i = 0; i < tile.h * tile.w; i++) {
    block(to, x + scale * (i % tile.w), y + scale * Math.floor(i / tile.w), scale, tile.px.subarray(4 * i, 4 * i + 4))
  }
}

/** Write `text` in the middle of `w` pixels, in the larger size if it fits, cut if it must be. */
function caption(to: Canvas, text: string, x: number, y: number, w: number): void {
  const size = 12 * text.length <= w + 2 ? 2 : 1, fits = text.slice(0, Math.floor((w + 2) / (6 * size)))
  write(to, fits, x + Math.max(0, Math.floor((w - 6 * size * fits.length + size) / 2)), y, size)
}

// %% ../nbs/00b_plots.ipynb 3c33d9ae
/** How pictures are shown: `cols` a row, pixels enlarged `scale` times, numbers seen through `cmap` and `range`. */
export type ImageOptions = { titles?: unknown[], cols?: number, scale?: number, cmap?: 'gray' | 'viridis', range?: Range }

// %% ../nbs/00b_plots.ipynb 6239dcec
function grid(tiles: Tile[], { titles = [], cols, scale = 1 }: ImageOptions): Canvas {
  const n = tiles.length, nc = Math.min(n, cols ?? Math.ceil(n / Math.floor(Math.sqrt(n))))
  const tw = scale * Math.max(...tiles.map(o => o.w)), th = scale * Math.max(...tiles.map(o => o.h))
  const gap = n > 1 ? 4 : 0, top = titles.length ? 20 : 0
  const w = nc * (tw + gap) - gap, h = Math.ceil(n / nc) * (th + top + gap) - gap
  if (w * h > 2 ** 25) throw new Error(`showImages: ${n} pictures would fill ${w} × ${h} pixels; show fewer or a smaller scale`)
  const to = { w, px: new Uint8Array(4 * w * h) }
  tiles.forEach((o, i) => {
    const x = (i % nc) * (tw + gap), y = Math.floor(i / nc) * (th + top + gap)
    if (i < titles.length) caption(to, String(titles[i]), x, y, tw)
    place(to, o, x, y + top, scale)
  })
  return to
}

// %% ../nbs/00b_plots.ipynb 350f25d1
function images(imgs: Pixels[], { cmap = 'gray', range, scale, ...rest }: ImageOptions, size: number): Bundle | undefined {
  const tiles = imgs.map(o => rgba(o, cmap, range)), most = Math.max(...tiles.map(o => Math.max(o.h, o.w)))
  const to = grid(tiles, { ...rest, scale: scale ?? Math.max(1, Math.round(size / most)) })
  const titles = rest.titles?.length ? `: ${rest.titles.join(', ')}` : ''
  const text = `${tiles.length > 1 ? `${tiles.length} images` : 'image'} ${tiles[0].h}×${tiles[0].w}${titles}`
  const width = to.w, height = to.px.length / 4 / to.w
  return display({ 'image/png': png(to.px, to.w, 4).toString('base64'), 'text/plain': text },
    { metadata: { 'image/png': { width, height } } })
}

// %% ../nbs/00b_plots.ipynb e1c9f380
/** Show one picture `[h, w]` or `[h, w, 1 | 3 | 4]`; whole numbers count to 255, others to 1, or give a `range`. */
export function showImage(img: Img, { title, ...rest }: ImageOptions & { title?: unknown } = {}): Bundle | undefined {
  return images([array(img)], { ...rest, titles: title === undefined ? [] : [title] }, 168)
}

// %% ../nbs/00b_plots.ipynb 9581541e
function split(o: Pixels): Pixels[] {
  const [n, ...shape] = o.shape, size = shape.reduce((a, b) => a * b, 1)
  const part = (i: number) => Array.prototype.slice.call(o.data, i * size, (i + 1) * size)
  return Array.from({ length: n }, (_, i) => ({ shape, data: part(i) }))
}

// %% ../nbs/00b_plots.ipynb 5f6842db
/** Show pictures in a grid: a list of pictures, or one array `[n, h, w]` or `[n, h, w, c]`. */
export function showImages(imgs: Img | Img[], options: ImageOptions = {}): Bundle | undefined {
  const list = Array.isArray(imgs) ? imgs.map(array) : split(array(imgs))
  if (!list.length) throw new Error('showImages: expected at least one picture, got an empty list')
  return images(list, options, 96)
}

// %% ../nbs/00b_plots.ipynb 84e148ee
/** Numbers or names along an axis: a list, a typed array or a tensor. */
export type Values = ArrayLike<number | string> | { dataSync(): ArrayLike<number> }

/** One curve, row of bars, histogram or heatmap in plotly.js's words, see plotly.com/javascript/reference. */
export interface Trace {
  type?: string, mode?: string, name?: string, x?: Values, y?: Values, z?: Img, nbinsx?: number
  line?: { color?: string, width?: number, dash?: string }
  marker?: { color?: string | string[], size?: number }
  [more: string]: unknown
}

// %% ../nbs/00b_plots.ipynb 95ee9101
/** One axis of a chart; `type: 'log'` for powers of ten. */
export interface Axis { title?: string | { text: string }, type?: string, range?: number[], [more: string]: unknown }

/** Titles, axes and size of a chart in plotly.js's words. */
export interface Layout {
  title?: string | { text: string }, xaxis?: Axis, yaxis?: Axis, width?: number, height?: number
  showlegend?: boolean, [more: string]: unknown
}

// %% ../nbs/00b_plots.ipynb d98fc0bd
const palette = ['#4c8bf5', '#f28e2b', '#3aa76d', '#e0564f', '#9a6fd0', '#a07855', '#d86fb0', '#7f8c8d', '#b5a524', '#2fb3c6']

const short = (o: any) => typeof o === 'number' && !Number.isInteger(o) ? Number(o.toPrecision(7)) : o
const values = (x: any): any[] => Array.from(typeof x.dataSync === 'function' ? x.dataSync() : x, short)
const titled = (o: any) => typeof o?.title === 'string' ? { ...o, title: { text: o.title } } : o

// %% ../nbs/00b_plots.ipynb 475b1919
function tidy(o: Trace): any {
  const t: any = { type: 'scatter', ...o }
  for (const k of ['x', 'y']) if (t[k]) t[k] = values(t[k])
  if (t.z) t.z = split(array(t.z)).map(row => values(row.data))
  if (t.type === 'heatmap') t.colorscale ??= 'Viridis'
  return t
}

function neutral({ xaxis, yaxis, ...rest }: Layout): any {
  const axis = { gridcolor: 'rgba(128,128,128,.25)', zerolinecolor: 'rgba(128,128,128,.25)', linecolor: '#888', tickcolor: '#888', automargin: true }
  return {
    height: 400, margin: { l: 60, r: 20, t: rest.title ? 50 : 20, b: 50 }, font: { color: '#888' }, colorway: palette,
    paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', ...titled(rest),
    xaxis: { ...axis, ...titled(xaxis) }, yaxis: { ...axis, ...titled(yaxis) }
  }
}

// %% ../nbs/00b_plots.ipynb 1ffd1518
function niceStep(span: number, n: number): number {
  const rough = span / n, power = 10 ** Math.floor(Math.log10(rough))
  return power * ([1, 2, 5].find(o => o * power >= rough * 0.99) ?? 10)
}

function niceTicks(lo: number, hi: number, n = 6): number[] {
  const step = niceStep(hi - lo || 1, n), from = Math.ceil(lo / step - 1e-9), to = Math.floor(hi / step + 1e-9)
  return Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)))
}

// %% ../nbs/00b_plots.ipynb 729371fd
function tickText(o: number): string {
  const a = Math.abs(o), [unit, size] = a >= 1e9 ? ['G', 1e9] : a >= 1e6 ? ['M', 1e6] : a >= 1e4 ? ['k', 1e3] : ['', 1] as const
  return (a && a < 1e-3 ? Number(o.toPrecision(6)).toExponential() : Number((o / size).toPrecision(6)) + unit).replace('-', '−')
}

// %% ../nbs/00b_plots.ipynb 2261c3ef
type Ruler = { names: string[], log: boolean, at: (v: any) => number }

function ruler(all: any[], axis: any): Ruler {
  const names = all.some(o => typeof o === 'string') ? [...new Set(all.map(String))] : []
  const log = axis.type === 'log', place = new Map(names.map((o, i) => [o, i]))
  const at = (v: any) => names.length ? place.get(String(v))! : log ? Math.log10(v) : Number(v ?? NaN)
  return { names, log, at }
}

// %% ../nbs/00b_plots.ipynb fab3bb90
type Tick = { at: number, text: string }

function ticks({ names, log }: Ruler, lo: number, hi: number): Tick[] {
  if (names.length) return names.map((text, at) => ({ at, text }))
  const whole = niceTicks(lo, hi).filter(o => !log || Number.isInteger(o))
  if (!log) return whole.map(at => ({ at, text: tickText(at) }))
  if (whole.length > 1) return whole.map(at => ({ at, text: tickText(10 ** at) }))
  return niceTicks(10 ** lo, 10 ** hi).map(o => ({ at: Math.log10(o), text: tickText(o) }))
}

// %% ../nbs/00b_plots.ipynb 1e99bf39
function bins(xs: number[], n = Math.min(50, Math.max(5, Math.ceil(Math.sqrt(xs.length))))) {
  const [lo, hi] = extent(xs), width = niceStep(hi - lo || 1, n), first = Math.floor(lo / width)
  const y: number[] = new Array(Math.floor(hi / width) - first + 1).fill(0)
  for (const o of xs) if (Number.isFinite(o)) y[Math.floor(o / width) - first]++
  return { type: 'bar', x: y.map((_, i) => short((first + i + 0.5) * width)), y, width }
}

// %% ../nbs/00b_plots.ipynb ae578ba9
type Mark = { kind: string, name: string, at: number[][], t: any, color: (i: number) => string }

const count = (n: number) => Array.from({ length: n }, (_, i) => i)

function hue(t: any, i: number): (k: number) => string {
  const own = t.marker?.color ?? t.line?.color
  return k => Array.isArray(own) ? own[k] : typeof own === 'string' ? own : palette[i % palette.length]
}

// %% ../nbs/00b_plots.ipynb 1463ab1e
/** Left and right end of the bars at `xs`, which are number `k` of `n` that share each place. */
function sides(xs: number[], width: number | undefined, k: number, n: number): number[][] {
  const gaps = xs.slice(1).map((o, i) => Math.abs(o - xs[i])).filter(o => o > 0)
  const w = width ?? 0.8 * Math.min(...gaps, gaps.length ? Infinity : 1) / n
  return xs.map(o => o - w * (width ? 0.5 : n / 2 - k)).map(left => [left, left + w])
}

// %% ../nbs/00b_plots.ipynb 86653187
/** A trace with its `x` and `y` written out. */
function spelled(t: any): any {
  if (t.type === 'histogram') return { ...t, ...bins(t.x, t.nbinsx) }
  const [nx, ny] = t.z ? [t.z[0].length, t.z.length] : [t.y.length, 0]
  return { ...t, x: t.x ?? count(nx), y: t.y ?? count(ny) }
}

function mark(t: any, i: number, all: any[], [x, y]: Ruler[]): Mark {
  const rest = { t, name: t.name ?? `trace ${i}`, color: hue(t, i) }
  const xs: number[] = t.x.map(x.at), ys: number[] = t.y.map(y.at)
  if (t.type === 'scatter') {
    const kind = t.mode ?? (xs.length > 20 ? 'lines' : 'lines+markers')
    return { ...rest, kind, at: xs.map((o, k) => [o, ys[k]]) }
  }
  if (t.type === 'heatmap') {
    return { ...rest, kind: 'heat', at: [[xs[0] - 0.5, ys[0] - 0.5], [xs.at(-1)! + 0.5, ys.at(-1)! + 0.5]] }
  }
  const group = all.filter(o => o.type === 'bar' && !o.width), k = group.indexOf(t)
  return { ...rest, kind: 'bar', at: sides(xs, t.width, k, group.length).map((o, j) => [...o, ys[j]]) }
}

// %% ../nbs/00b_plots.ipynb c3bc3d19
function reach(vs: number[], axis: any, names: string[], pad: number): [number, number] {
  if (axis.range) return axis.range
  if (names.length) return [-0.5, names.length - 0.5]
  const [lo, hi] = extent(vs), p = (hi - lo || Math.abs(hi) || 1) * pad
  return axis.autorange === 'reversed' ? [hi, lo] : [lo && lo - p, hi && hi + p]
}

// %% ../nbs/00b_plots.ipynb b523f33f
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
  return `<path d="${path}" fill="none" stroke="${safe(color(0))}" stroke-width="${t.line?.width ?? 2}"${dash}/>`
}

// %% ../nbs/00b_plots.ipynb d340035e
function dotted({ at, t, color }: Mark, X: Place, Y: Place): string {
  const paths = new Map<string, string>(), size = Number(t.marker?.size) || 6
  at.forEach(([x, y], i) => {
    const c = color(i)
    if (Number.isFinite(x + y)) paths.set(c, `${paths.get(c) ?? ''}M${r1(X(x))} ${r1(Y(y))}h0`)
  })
  const style = `stroke-width="${size}" stroke-linecap="round" stroke-opacity="${Number(t.marker?.opacity ?? t.opacity ?? 1)}"`
  return [...paths].map(([c, d]) => `<path d="${d}" stroke="${safe(c)}" ${style}/>`).join('')
}

// %% ../nbs/00b_plots.ipynb 9e75dcd7
function rect(box: [number, number, number, number]): string {
  const [x0, x1] = [box[0], box[1]].sort((a, b) => a - b), [y0, y1] = [box[2], box[3]].sort((a, b) => a - b)
  return `x="${r1(x0)}" y="${r1(y0)}" width="${r1(x1 - x0)}" height="${r1(y1 - y0)}"`
}

function bars({ at, t, color }: Mark, X: Place, Y: Place, floor: number): string {
  const style = `fill-opacity="${Number(t.opacity ?? 0.9)}"`
  return at.map(([x0, x1, y], i) => Number.isFinite(y)
    ? `<rect ${rect([X(x0), X(x1), Y(y), Y(floor)])} fill="${safe(color(i))}" ${style}/>` : '').join('')
}

// %% ../nbs/00b_plots.ipynb 4defcdb4
function heat({ at, t }: Mark, X: Place, Y: Place): string {
  const [low, high] = at
  const tile = rgba(array(t.z.slice().reverse()), t.colorscale === 'Greys' ? 'gray' : 'viridis', 'auto')
  const [bottom, top] = [Y(low[1]), Y(high[1])], box = rect([X(low[0]), X(high[0]), bottom, top])
  const flip = bottom < top ? ` transform="translate(0 ${bottom + top}) scale(1 -1)"` : ''
  return `<image ${box} preserveAspectRatio="none" style="image-rendering:pixelated"${flip} `
    + `href="data:image/png;base64,${png(tile.px, tile.w, 4).toString('base64')}"/>`
}

// %% ../nbs/00b_plots.ipynb b021c2c7
type Box = { l: number, r: number, t: number, b: number }

const text = (s: unknown, x: number, y: number, more = '') => `<text x="${r1(x)}" y="${r1(y)}" ${more}>${safe(s)}</text>`
const rule = (x1: number, y1: number, x2: number, y2: number) =>
  `<path d="M${r1(x1)} ${r1(y1)}L${r1(x2)} ${r1(y2)}" stroke="#888" stroke-opacity=".3"/>`

function frameX(marks: Tick[], X: Place, { l, r, t, b }: Box): string {
  const slanted = Math.max(...marks.map(o => o.text.length)) * 7 > (r - l) / marks.length
  return marks.map(o => rule(X(o.at), t, X(o.at), b) + (slanted
    ? text(o.text, X(o.at), b + 16, `text-anchor="end" transform="rotate(-30 ${r1(X(o.at))} ${b + 16})"`)
    : text(o.text, X(o.at), b + 18, 'text-anchor="middle"'))).join('')
}

const frameY = (marks: Tick[], Y: Place, { l, r }: Box) =>
  marks.map(o => rule(l, Y(o.at), r, Y(o.at)) + text(o.text, l - 6, Y(o.at) + 4, 'text-anchor="end"')).join('')

// %% ../nbs/00b_plots.ipynb 63cf5df8
function titles({ title, xaxis, yaxis }: any, { l, r, t, b }: Box, h: number): string {
  const mid = (l + r) / 2, left = `text-anchor="middle" transform="rotate(-90 16 ${(t + b) / 2})"`
  return text(title?.text ?? '', mid, 26, 'text-anchor="middle" font-size="17"')
    + text(xaxis.title?.text ?? '', mid, h - 8, 'text-anchor="middle"') + text(yaxis.title?.text ?? '', 16, (t + b) / 2, left)
}

const legend = (marks: Mark[], { r, t }: Box) => marks.map((o, i) =>
  `<rect x="${r + 14}" y="${t + 20 * i}" width="14" height="10" fill="${safe(o.color(0))}"/>`
  + text(o.name, r + 34, t + 20 * i + 10)).join('')

// %% ../nbs/00b_plots.ipynb 3fc7f221
const page = (w: number, h: number, inner: string) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" font-family="sans-serif" font-size="12" fill="#888">${inner}</svg>`

function drawn(all: any[], layout: any, w: number, h: number): string {
  const ts = all.map(spelled), x = ruler(ts.flatMap(o => o.x), layout.xaxis), y = ruler(ts.flatMap(o => o.y), layout.yaxis)
  const marks = ts.map((t, i) => mark(t, i, ts, [x, y])), named = marks.length > 1 && layout.showlegend !== false
  const box = { l: 64, r: w - (named ? 150 : 20), t: layout.title ? 46 : 16, b: h - 52 }
  const heats = ts.some(o => o.type === 'heatmap'), floor = ts.some(o => o.type === 'bar') && !y.log ? [0] : []
  const [x0, x1] = reach(marks.flatMap(o => o.at.flatMap(p => p.slice(0, -1))), layout.xaxis, x.names, heats ? 0 : 0.04)
  const [y0, y1] = reach([...floor, ...marks.flatMap(o => o.at.map(p => p.at(-1)!))], layout.yaxis, y.names, heats ? 0 : 0.06)
  const X: Place = v => box.l + (v - x0) / (x1 - x0) * (box.r - box.l), Y: Place = v => box.b - (v - y0) / (y1 - y0) * (box.b - box.t)
  const draw = (m: Mark) => m.kind === 'heat' ? heat(m, X, Y) : m.kind === 'bar' ? bars(m, X, Y, floor[0] ?? y0)
    : (m.kind.includes('lines') ? line(m, X, Y) : '') + (m.kind.includes('markers') ? dotted(m, X, Y) : '')
  return frameX(ticks(x, x0, x1), X, box) + frameY(ticks(y, y0, y1), Y, box) + marks.map(draw).join('')
    + titles(layout, box, h) + (named ? legend(marks, box) : '')
}

// %% ../nbs/00b_plots.ipynb 7a830a86
const kinds = ['scatter', 'bar', 'histogram', 'heatmap']

function picture(traces: any[], layout: any): string {
  const w = layout.width ?? 700, h = layout.height, odd = traces.find(o => !kinds.includes(o.type) || o.orientation === 'h')
  const sentence = `This chart (${odd?.type}) is drawn by scripts only; open the notebook in JupyterLab.`
  return page(w, h, odd ? text(sentence, w / 2, h / 2, 'text-anchor="middle"') : drawn(traces, layout, w, h))
}

// %% ../nbs/00b_plots.ipynb 1ff44f84
/** A chart as a bundle: plotly's description, a still picture, and a line of text. */
export function figure(traces: Trace[], layout: Layout = {}): Bundle {
  const fig = { data: traces.map(tidy), layout: neutral(layout) }
  const names = fig.data.map(o => o.name ?? o.type).join(', ')
  return {
    'application/vnd.plotly.v1+json': fig,
    'image/svg+xml': picture(fig.data, fig.layout),
    'text/plain': `chart${layout.title ? ` “${fig.layout.title.text}”` : ''}: ${names}`
  }
}

// %% ../nbs/00b_plots.ipynb 289b1f93
/** Show a chart: traces and layout in plotly.js's words. */
export function plot(traces: Trace[], layout?: Layout): Bundle | undefined {
  return display(figure(traces, layout))
}

// %% ../nbs/00b_plots.ipynb 38c6af5b
const clock = (s: number) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, '0')}`
const si = (n: number) => n >= 1e6 ? `${(n / 1e6).toFixed(1)}M` : n >= 1e4 ? `${(n / 1e3).toFixed(0)}k` : String(Number(n.toPrecision(3)))

// %% ../nbs/00b_plots.ipynb ae238e4c
/** What stands beside the bar: done of total, time used and left, rate. */
function pace(done: number, total: number | undefined, s: number): string {
  const rate = done / Math.max(s, 1e-3), left = total && done ? ` < ${clock((total - done) / rate)}` : ''
  return `${si(done)}${total === undefined ? '' : ` of ${si(total)}`} · ${clock(s)}${left} · ${si(rate)}/s`
}

// %% ../nbs/00b_plots.ipynb 5e9a0147
type Curves = { traces: Trace[], layout?: Layout }
type State = { count: number, total?: number, label: string, note: string, chart?: Curves }

function bar({ count, total, label, note, chart }: State, seconds: number, last: boolean): Bundle {
  const plain = `${label || 'progress'}: ${count}${total === undefined ? '' : ` of ${total}`}`
  if (last && chart) return { ...figure(chart.traces, chart.layout), 'text/plain': plain }
  const size = last && total === undefined ? 'value="1"' : total === undefined ? '' : `value="${count}" max="${total || 1}"`
  const words = [pace(count, total, seconds), note].filter(Boolean).map(safe).join(' · ')
  const html = `<div>${safe(label)} <progress ${size} style="width:20em"></progress> ${words}</div>`
  const curves = chart ? figure(chart.traces, chart.layout)['image/svg+xml'] : ''
  return { 'text/html': html + curves, 'text/plain': plain }
}

// %% ../nbs/00b_plots.ipynb 85014828
function showBar(state: State, seconds: number, { id, update, last }: { id: string, update: boolean, last: boolean }): void {
  if (kernel()) display(bar(state, seconds, last), { id, update })
  else if (process.stderr.isTTY) {
    process.stderr.write(`\r\x1b[K${state.label} ${pace(state.count, state.total, seconds)} ${state.note}${last ? '\n' : ''}`)
  }
}

// %% ../nbs/00b_plots.ipynb d9666191
/** A live bar: loop over it, or call `step` and `finish` yourself; `note` and `chart` are drawn with it. */
export class Progress<T> implements Iterable<T>, AsyncIterable<T> {
  count = 0
  note = ''
  chart?: { traces: Trace[], layout?: Layout }
  private id = randomUUID()
  private began = performance.now()
  private drawn = 0

  constructor(public items: Iterable<T> | AsyncIterable<T>, public total?: number, public label = '') { this.draw() }

  private draw(last = false): void {
    const now = performance.now()
    showBar(this, (now - this.began) / 1000, { id: this.id, update: this.drawn > 0, last })
    this.drawn = now
  }

  /** Count `n` more. */
  step(n = 1): void {
    this.count += n
    if (performance.now() - this.drawn >= 100) this.draw()
  }

  /** Draw the last state. */
  finish(): void { this.draw(true) }

  *[Symbol.iterator](): Generator<T> {
    try { for (const o of this.items as Iterable<T>) { yield o; this.step() } } finally { this.finish() }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try { for await (const o of this.items) { yield o; this.step() } } finally { this.finish() }
  }
}

// %% ../nbs/00b_plots.ipynb cb34091c
/** Show a live bar while looping over `items`, or over 0 … n − 1 if it is a number; `for` and `for await` both work. */
export function progress(n: number, options?: { label?: string }): Progress<number>
export function progress<T>(items: Iterable<T> | AsyncIterable<T>, options?: { label?: string, total?: number }): Progress<T>
export function progress(items: any, { label = '', total }: { label?: string, total?: number } = {}): Progress<unknown> {
  if (typeof items === 'number') return new Progress(Array(items).keys(), items, label)
  return new Progress(items, total ?? items.length ?? items.size, label)
}
