import { strict as assert } from 'assert'
import { crc32, inflateSync } from 'zlib'
import { display, figure, plot, png, progress, showImage, showImages } from 'miniai/plots'

/** The pixels of a PNG file written with filter 2 (or 0), and its chunk sums looked at. */
function decode(file: Buffer) {
  const chunks: Record<string, Buffer> = {}
  for (let at = 8; at < file.length;) {
    const n = file.readUInt32BE(at), body = file.subarray(at + 4, at + 8 + n)
    if (crc32) assert.equal(file.readUInt32BE(at + 8 + n), crc32(body))
    chunks[body.subarray(0, 4).toString()] = body.subarray(4)
    at += 12 + n
  }
  const w = chunks.IHDR.readUInt32BE(0), h = chunks.IHDR.readUInt32BE(4)
  const c = { 0: 1, 4: 2, 2: 3, 6: 4 }[chunks.IHDR[9]]!
  const raw = inflateSync(chunks.IDAT), px = new Uint8Array(w * h * c)
  assert.equal(raw.length, h * (w * c + 1))
  for (let i = 0; i < px.length; i++) {
    const y = Math.floor(i / (w * c)), up = raw[y * (w * c + 1)] === 2 && y ? px[i - w * c] : 0
    px[i] = raw[i + y + 1] + up
  }
  const at = (x: number, y: number) => [...px.slice(c * (y * w + x), c * (y * w + x + 1))]
  return { w, h, c, px, at }
}

const shown = (o: any) => decode(Buffer.from(o['image/png'], 'base64'))
const tensor = (shape: number[], o: number[]) => ({ shape, dataSync: () => Float32Array.from(o) })
const [black, white, red] = [[0, 0, 0, 255], [255, 255, 255, 255], [255, 0, 0, 255]]

for (const c of [1, 2, 3, 4]) {
  it(`png(pixels, w, ${c}) is a file that says what the pixels say`, () => {
    const pixels = Uint8Array.from({ length: 5 * 3 * c }, (_, i) => i * i * 7)
    const o = decode(png(pixels, 5, c))
    assert.deepEqual([o.w, o.h, o.c], [5, 3, c])
    assert.deepEqual(o.px, pixels)
  })
}

it('showImage(img) enlarges each pixel to a square, from black to white', () => {
  const o = shown(showImage([[0, 1], [0.5, 0.25]], { scale: 3 }))
  assert.deepEqual([o.w, o.h, o.c], [6, 6, 4])
  assert.deepEqual([o.at(0, 0), o.at(2, 2), o.at(3, 0), o.at(5, 2)], [black, black, white, white])
  assert.deepEqual([o.at(0, 3), o.at(5, 5)], [[128, 128, 128, 255], [64, 64, 64, 255]])
})

it('showImage(img) takes lists, typed arrays with shape, arrays from files and tensors', () => {
  const numbers = [0, 0.25, 0.5, 0.75, 1, 0]
  const rows = [[0, 0.25, 0.5], [0.75, 1, 0]], data = Float32Array.from(numbers)
  const forms = [
    rows, rows.map(o => Float32Array.from(o)), { shape: [2, 3], dtype: 'float32', data },
    tensor([2, 3], numbers), tensor([2, 3, 1], numbers),
    Object.assign(Float32Array.from(numbers), { shape: [2, 3] })]
  const files = forms.map(o => (showImage(o as any) as any)['image/png'])
  assert.equal(new Set(files).size, 1)
})

it('showImage(img) draws RGB and RGBA', () => {
  const o = shown(showImage([[[1, 0, 0.5], [0, 1, 0]]], { scale: 1 }))
  assert.deepEqual([o.at(0, 0), o.at(1, 0)], [[255, 0, 128, 255], [0, 255, 0, 255]])
  const bytes = [255, 0, 10, 128]
  assert.deepEqual(shown(showImage([[bytes]], { scale: 1 })).at(0, 0), bytes)
})

it('showImage(img) counts whole numbers to 255 if one is above 1, others to 1, cut off', () => {
  const first = (img: any, options = {}) =>
    shown(showImage(img, { scale: 1, ...options })).px.filter((_, i) => i % 4 === 0)
  assert.deepEqual([...first([[0, 51, 255]])], [0, 51, 255])
  assert.deepEqual([...first([[0, 1, 1]])], [0, 255, 255])
  assert.deepEqual([...first([[-3, 0.2, 1.5]])], [0, 51, 255])
  assert.deepEqual([...first([[-3, 0, 3]], { range: [-3, 3] })], [0, 128, 255])
  assert.deepEqual([...first([[-1, 1, 4]], { range: 'auto' })], [0, 102, 255])
  assert.deepEqual([...first([[7, 7]], { range: 'auto' })], [0, 0])
})

it('showImage(img) draws NaN red and infinities at the ends', () => {
  const o = shown(showImage([[NaN, Infinity, -Infinity]], { scale: 1 }))
  assert.deepEqual([0, 1, 2].map(x => o.at(x, 0)), [red, white, black])
})

const shapeless: [string, any][] = [
  ['3', [1, 2, 3]], ['', 5], ['2,2,2', tensor([2, 2, 2], [])], ['0', []], ['1,0', [[]]],
  ['3,28,28', tensor([3, 28, 28], [])], ['1,2,2,3', tensor([1, 2, 2, 3], [])],
]
for (const [shape, img] of shapeless) it(`showImage(img) refuses shape [${shape}]`, () => {
  const message = `showImage: expected shape [h, w] or [h, w, 1 | 3 | 4], got [${shape}]`
  assert.throws(() => showImage(img), { message })
})

it('showImage(img) refuses rows of different length', () => {
  assert.throws(() => showImage([[1, 2], [1, 2], [3]]),
    { message: 'showImage: row 2 has shape [1], row 0 has [2]' })
})

it('showImage(img, {title}) writes the title above, on transparent ground, and in the text', () => {
  const o: any = showImage(Array(28).fill(Array(28).fill(1)), { title: 'seven', scale: 4 })
  const { w, h, at } = shown(o)
  assert.deepEqual([w, h], [112, 132])
  const top = Array.from({ length: 20 * w }, (_, i) => at(i % w, Math.floor(i / w)))
  assert.ok(top.some(p => String(p) === '136,136,136,255')
    && top.every(p => p[3] === 0 || p[0] === 136))
  assert.equal(o['text/plain'], 'image 28×28: seven')
})

it('showImages(imgs) makes a grid like get_grid of the course: rows = ⌊√n⌋', () => {
  const one = [[1, 0], [0, 1]], o = shown(showImages([one, one, one, one, one], { scale: 2 }))
  assert.deepEqual([o.w, o.h], [3 * 4 + 2 * 4, 2 * 4 + 4])
  assert.deepEqual([o.at(0, 0), o.at(8, 0), o.at(5, 0)], [white, white, [0, 0, 0, 0]])
  assert.equal(o.at(16, 8)[3], 0)
})

it('showImages(imgs) takes one array [n, h, w] or [n, h, w, c] as n pictures', () => {
  const list: any = showImages([[[0, 1]], [[1, 0]]])
  const array: any = showImages(tensor([2, 1, 2], [0, 1, 1, 0]))
  assert.equal(array['image/png'], list['image/png'])
  assert.equal((showImages(tensor([2, 1, 1, 3], Array(6).fill(1))) as any)['text/plain'],
    '2 images 1×1')
})

it('showImages(imgs) refuses no pictures, and more than a page can hold', () => {
  assert.throws(() => showImages([]), { message: 'showImages: expected 1 to 1024 pictures, got 0' })
  assert.throws(() => showImages(tensor([50000, 28, 28], [])),
    /expected 1 to 1024 pictures, got 50000/)
  assert.throws(() => showImages(tensor([100, 8, 8], Array(6400).fill(0)), { scale: 100 }),
    /100 pictures fill .*; show fewer/)
})

it('showImages(imgs) draws 64 digits in less than a second', () => {
  const start = performance.now()
  showImages(tensor([64, 28, 28], Array.from({ length: 64 * 784 }, (_, i) => i % 100 / 100)))
  assert.ok(performance.now() - start < 1000)
})

/** Looks whether each element of an SVG text is closed, and gives the names. */
function elements(svg: string): string[] {
  const open: string[] = [], names: string[] = []
  const tags = /<(\/?)(\w+)(?:\s+[\w:-]+="[^"<]*")*\s*(\/?)>/g
  for (const [, close, name, empty] of svg.matchAll(tags)) {
    if (close) assert.equal(open.pop(), name)
    else { names.push(name); if (!empty) open.push(name) }
  }
  assert.deepEqual(open, [])
  assert.equal(names.length, (svg.match(/<\w/g) ?? []).length)
  return names
}

const plotly = 'application/vnd.plotly.v1+json'
const pictureOf = (o: any): string => o['image/svg+xml']
const words = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)/g)].map(o => o[1])

it('plot(traces, layout) gives plotly JSON, a still picture and text in one bundle', () => {
  const o: any = plot([{ y: [1, 3, 2], name: 'a' }, { type: 'bar', x: ['p', 'q'], y: [1, 2] }],
    { title: 'T', xaxis: { title: 'X' } })
  assert.deepEqual(Object.keys(o), [plotly, 'image/svg+xml', 'text/plain'])
  const fig = o[plotly]
  assert.deepEqual([fig.layout.title, fig.layout.xaxis.title], [{ text: 'T' }, { text: 'X' }])
  assert.deepEqual([fig.layout.paper_bgcolor, fig.layout.font.color], ['rgba(0,0,0,0)', '#888'])
  assert.equal(o['text/plain'], 'chart “T”: a, bar')
  assert.equal(JSON.stringify(JSON.parse(JSON.stringify(fig))), JSON.stringify(fig))
})

it('plot(traces) writes typed arrays and tensors as lists of seven digits', () => {
  const fig: any = figure([{ x: tensor([2], [0.1, 2]), y: new Float32Array([1 / 3, 5]) }])[plotly]
  assert.deepEqual(fig.data, [{ type: 'scatter', x: [0.1, 2], y: [0.3333333, 5] }])
})

it('plot(traces) draws lines, dots, bars, histograms, heatmaps; ticks, titles, legend', () => {
  const two = [{ y: [0, 10], name: 'up' }, { y: [10, 0], name: 'down', mode: 'markers' }]
  const svg = pictureOf(figure(two,
    { title: 'Two & more', yaxis: { title: '<y>' } }))
  elements(svg)
  const expected = ['0', '2', '10', 'up', 'down', 'Two &#38; more', '&#60;y&#62;']
  for (const o of expected) assert.ok(words(svg).includes(o), o)
  const bars = elements(pictureOf(figure([{ type: 'bar', x: ['a', 'b', 'c'], y: [1, 2, 3] }])))
  assert.equal(bars.filter(o => o === 'rect').length, 3)
  const histogram = elements(pictureOf(figure([{ type: 'histogram', x: [1, 1, 2, 5], nbinsx: 5 }])))
  assert.equal(histogram.filter(o => o === 'rect').length, 5)
  const heatmap = elements(pictureOf(figure([{ type: 'heatmap', z: [[1, 2], [3, 4]] }])))
  assert.equal(heatmap.filter(o => o === 'image').length, 1)
})

it('plot(traces) gives plotly the bins that the still picture has', () => {
  const fig: any = figure([{ type: 'histogram', x: [0.1, 0.15, 0.9], nbinsx: 5 }])[plotly]
  assert.deepEqual(fig.data[0].xbins, { start: 0, end: 1, size: 0.2 })
})

it('plot(traces) puts a point where its numbers say', () => {
  const svg = pictureOf(figure([{ x: [0, 10], y: [0, 1], mode: 'lines' }],
    { width: 684, height: 268, xaxis: { range: [0, 10] }, yaxis: { range: [0, 1] } }))
  assert.ok(svg.includes('d="M64 216L664 16"'), svg)
})

it('plot(traces) draws logarithmic axes with powers of ten', () => {
  const svg = pictureOf(figure([{ x: [1, 10, 100], y: [1e-3, 1, 1e3] }],
    { width: 684, xaxis: { type: 'log', range: [0, 2] }, yaxis: { type: 'log' } }))
  assert.match(svg, /d="M64 [\d.]+L364 [\d.]+L664 /)
  for (const o of ['1', '10', '100', '0.01']) assert.ok(words(svg).includes(o), o)
})

it('plot(traces) leaves gaps for NaN, null and logarithms of nothing', () => {
  const path = (o: any, layout = {}) =>
    /<path d="([^"]*)" fill="none"/.exec(pictureOf(figure([o], layout)))![1]
  assert.equal(path({ y: [1, 2, NaN, 3, 4] }).replace(/[^ML]/g, ''), 'MLML')
  assert.equal(path({ y: [1, null as any, 3] }).replace(/[^ML]/g, ''), 'MM')
  assert.equal(path({ y: [0, 1, 10] }, { yaxis: { type: 'log' } }).replace(/[^ML]/g, ''), 'ML')
})

it('plot(traces) survives empty and constant data', () => {
  const bars = [{ type: 'bar', x: [], y: [] }, { type: 'bar', x: ['a'], y: [2] }]
  const lines = [{ y: [] }, { y: [5] }, { y: [0, 0] }, { y: [NaN] }]
  for (const o of [...lines, ...bars, { type: 'histogram', x: [3] }]) {
    const svg = pictureOf(figure([o]))
    elements(svg)
    assert.doesNotMatch(svg, /NaN|Infinity/, JSON.stringify(o))
  }
  elements(pictureOf(figure([])))
})

it('plot(traces) says in the still picture what only JupyterLab can draw', () => {
  const svg = pictureOf(figure([{ type: 'surface', z: [[1, 2], [3, 4]] }]))
  assert.deepEqual(words(svg), ['This surface chart is drawn in JupyterLab only.'])
  assert.match(pictureOf(figure([{ type: 'bar', orientation: 'h', x: [1], y: ['a'] }])),
    /JupyterLab only/)
})

const id = require.resolve('tslab/dist/jupyter')
type Sent = { data: any, id: string, update: boolean, at: number }

/** Run `f` with a kernel that only takes notes. */
async function inKernel(f: () => unknown): Promise<Sent[]> {
  const sent: Sent[] = [], before = require.cache[id]
  const lastWriteDisplayData = (o: any, update: boolean) =>
    sent.push({ data: o.data, id: o.transient.display_id, update, at: performance.now() })
  require.cache[id] = { exports: { lastWriteDisplayData } } as any
  try { await f() } finally {
    if (before) require.cache[id] = before
    else delete require.cache[id]
  }
  return sent
}

it('display(data) sends to the kernel, and elsewhere gives the data back', async () => {
  const data = { 'text/plain': 'x' }
  assert.equal(display(data), data)
  const where = { id: 'a', update: true }
  const sent = await inKernel(() => assert.equal(display(data, where), undefined))
  assert.deepEqual(sent.map(o => [o.data, o.id, o.update]), [[data, 'a', true]])
})

it('progress(items) gives all items, in one display that ends with the last state', async () => {
  const got: number[] = []
  const sent = await inKernel(() => got.push(...progress([5, 6, 7], { label: 'three' })))
  assert.deepEqual(got, [5, 6, 7])
  assert.equal(new Set(sent.map(o => o.id)).size, 1)
  assert.deepEqual(sent.map(o => o.update), [false, true])
  assert.equal(sent[0].data['text/plain'], 'three 0 of 3 · 0:00 · 0/s')
  assert.equal(sent.at(-1)!.data['text/plain'], 'three: 3 of 3')
  assert.match(sent.at(-1)!.data['text/html'], /three <progress value="3" max="3"/)
})

it('progress(n) draws at most every 100 ms, and costs little', async () => {
  const start = performance.now()
  const sent = await inKernel(() => {
    for (const _ of progress(500000)) if (performance.now() - start > 1500) break
  })
  const gaps = sent.slice(1, -1).map((o, i) => o.at - sent[i].at)
  assert.ok(gaps.every(o => o >= 99), String(gaps))
  assert.ok(sent.length <= 18)
  assert.equal(sent.at(-1)!.data['text/plain'], 'progress: 500000 of 500000')
})

it('progress(items) works with for await, generators and unknown totals', async () => {
  async function* slow() {
    for (let i = 0; i < 3; i++) yield new Promise<number>(done => setTimeout(() => done(i), 60))
  }
  const got: number[] = []
  const sent = await inKernel(async () => { for await (const o of progress(slow())) got.push(o) })
  assert.deepEqual(got, [0, 1, 2])
  assert.equal(sent.at(-1)!.data['text/plain'], 'progress: 3')
  assert.match(sent.at(-1)!.data['text/html'], /<progress value="1"/)
  assert.ok(sent.length >= 3)
})

it('progress(items) draws where a loop is left, and lets errors through', async () => {
  const left = await inKernel(() => { for (const o of progress(10)) if (o === 4) break })
  assert.equal(left.at(-1)!.data['text/plain'], 'progress: 4 of 10')
  let said = ''
  const sent = await inKernel(() => {
    const loop = () => { for (const o of progress(10)) if (o === 2) throw new Error('stop') }
    try { loop() } catch (e) { said = (e as Error).message }
  })
  assert.deepEqual([said, sent.at(-1)!.data['text/plain']], ['stop', 'progress: 2 of 10'])
})

it('progress: note and chart share its display, and the last state is the chart', async () => {
  const sent = await inKernel(async () => {
    const bar = progress(3, { label: 'fit' }), y: number[] = []
    for (const o of bar) {
      y.push(o)
      bar.note = `loss < ${o}`
      bar.chart = { traces: [{ y, name: 'loss' }], layout: { height: 200 } }
      await new Promise(done => setTimeout(done, 110))
    }
  })
  const live = sent[sent.length - 2].data, last = sent.at(-1)!.data
  assert.match(live['text/html'], /loss &#60; 2<\/div><svg /)
  assert.deepEqual(Object.keys(last), [plotly, 'image/svg+xml', 'text/plain'])
  assert.equal(last['text/plain'], 'fit: 3 of 3')
})

it('progress(items) writes nothing outside a kernel and a terminal', () => {
  const write = process.stderr.write, text: string[] = []
  process.stderr.write = ((s: string) => text.push(s)) as any
  try { for (const _ of progress(3)); } finally { process.stderr.write = write }
  assert.deepEqual(text, process.stderr.isTTY ? text : [])
})
