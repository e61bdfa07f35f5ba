// Do not edit: made by "npm run export" from ../nbs/00c_wasm.ipynb (92234e82d68c)
// The backend that always works: its threads, and the kernels it lacks. To be skipped at first.

import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
import { readFileSync } from 'fs'
import { availableParallelism } from 'os'
import { dirname, join } from 'path'
import workers from 'worker_threads'

// %% ../nbs/00c_wasm.ipynb deb1b4d8
const folder = dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))
const glue = join(folder, 'wasm-out/tfjs-backend-wasm-threaded-simd.js')
const binary = join(folder, 'dist/tfjs-backend-wasm-threaded-simd.wasm')

// %% ../nbs/00c_wasm.ipynb a657a19f
function threadCode() {
  const { wasmWorkerContents } = require(glue.replace('.js', '.worker.js'))
  const place = { __filename: glue, __dirname: dirname(glue) }
  return `Object.assign(globalThis, ${JSON.stringify(place)});`
    + wasmWorkerContents.replace(/\n/g, '\\n')
}

// %% ../nbs/00c_wasm.ipynb b1b7960d
function withThreads<T>(f: () => T): T {
  const node = workers as { Worker: typeof workers.Worker }, { Worker } = node, code = threadCode()
  node.Worker = class extends Worker {
    constructor() { super(code, { eval: true, execArgv: [] }) }
    ref() {}
  }
  try { return f() } finally {
    node.Worker = Worker
    delete (globalThis as { Worker?: unknown }).Worker // put there by the start code
  }
}

// %% ../nbs/00c_wasm.ipynb eed563f9
function withoutListeners<T>(f: () => T): T {
  const events = ['uncaughtException', 'unhandledRejection'] as string[] as 'exit'[]
  const before = events.map(name => process.listeners(name))
  const result = f()
  events.forEach((name, i) => process.listeners(name)
    .filter(g => !before[i].includes(g)).forEach(g => process.off(name, g)))
  return result
}

// %% ../nbs/00c_wasm.ipynb b0d8981d
type Argument = number | Uint8Array
interface Program {
  cwrap(name: string, result: 'number' | null, args: string[]): (...args: Argument[]) => number
  PThread: { unusedWorkers: workers.Worker[] }
  _malloc(bytes: number): number
  _free(place: number): void
  tfjs: Record<string, (...args: Argument[]) => number>
}
interface Compiled { instance: object, module: object }
interface Compiler { instantiate(bytes: Uint8Array, imports: object): Promise<Compiled> }
const { WebAssembly } = globalThis as unknown as { WebAssembly: Compiler }
type Done = (instance: object, module: object) => void

async function load(threads: number): Promise<Program> {
  const instantiateWasm = (imports: Record<string, Record<string, () => number>>, done: Done) => {
    imports.env.emscripten_num_logical_cores = () => 2 * threads
    WebAssembly.instantiate(readFileSync(binary), imports)
      .then(({ instance, module }) => done(instance, module))
    return {}
  }
  const options = { instantiateWasm, locateFile: (path: string) => path, mainScriptUrlOrBlob: glue }
  return withThreads(() => withoutListeners(() => require(glue)(options)))
}

// %% ../nbs/00c_wasm.ipynb e57562ee
function bind(program: Program): Program {
  const args = { init: 0, init_with_threads_count: 1, get_threads_count: 0, register_tensor: 3,
    dispose_data: 1, dispose: 0 }
  const camel = (name: string) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())
  program._free(program._malloc(1)) // from its first call on, this is the program's own function
  const { _malloc } = program
  program._malloc = bytes => {
    const place = _malloc(bytes)
    if (!place && bytes) throw new Error(`wasm: no room for ${bytes} bytes; it has 4 GB in all`)
    return place
  }
  program.tfjs = Object.fromEntries(Object.entries(args).map(([name, n]) =>
    [camel(name), program.cwrap(name, 'number', Array(n).fill('number'))]))
  return program
}

// %% ../nbs/00c_wasm.ipynb 960be063
type Inputs = Record<string, tf.Tensor>
type Kernel<A> = (inputs: Inputs, attrs: A) => tf.Tensor
const kernels = new Map<string, Kernel<never>>()
const firsts = new Map<string, tf.KernelFunc>()
const backend = () => tf.backend() as unknown as BackendWasm

// %% ../nbs/00c_wasm.ipynb 4e2d3683
function useKernels(): void {
  for (const [kernelName, f] of kernels) {
    const old = tf.getKernel(kernelName, 'wasm')
    if (old && !firsts.has(kernelName)) firsts.set(kernelName, old.kernelFunc)
    if (old) tf.unregisterKernel(kernelName, 'wasm')
    tf.registerKernel({ kernelName, backendName: 'wasm', setupFunc: old?.setupFunc,
      kernelFunc: ({ inputs, attrs }) => tf.tidy(() => f(inputs as Inputs, attrs as never)) })
  }
}

function define<A>(name: string, f: Kernel<A>): void { kernels.set(name, f) }

function first(name: string, inputs: Inputs, attrs: object): tf.Tensor {
  const info = firsts.get(name)!({ inputs, attrs: attrs as tf.NamedAttrMap, backend: backend() })
  return tf.engine().makeTensorFromTensorInfo(info as tf.TensorInfo)
}

// %% ../nbs/00c_wasm.ipynb 5a0aece9
/** Starts the wasm backend with SIMD, threads and our kernels; gives the number of threads. */
export async function startWasm(threads = Math.min(8, availableParallelism())): Promise<number> {
  const { BackendWasm, setThreadsCount } = await import('@tensorflow/tfjs-backend-wasm')
  if (!tf.findBackend('wasm')) {
    const program = bind(await load(threads))
    setThreadsCount(threads)
    tf.removeBackend('wasm')
    tf.registerBackend('wasm', () => new BackendWasm(program as never), 2)
  }
  useKernels()
  await tf.setBackend('wasm')
  const { PThread, tfjs } = backend().wasm as unknown as Program
  for (const worker of PThread.unusedWorkers.splice(0)) void worker.terminate()
  return tfjs.getThreadsCount()
}

// %% ../nbs/00c_wasm.ipynb 84881d04
type Four = [number, number, number, number]
type Pair = [number, number]
interface ConvAttrs {
  strides: number | Pair
  pad: 'same' | 'valid' | number
  dimRoundingMode?: 'floor' | 'round' | 'ceil'
  dilations?: number | Pair
  filterShape: Four
  inputShape: Four
}
const convInfo = (x: number[], w: number[], a: ConvAttrs, depthwise = false) =>
  tf.backend_util.computeConv2DInfo(x as Four, w as Four, a.strides, a.dilations ?? 1, a.pad,
    a.dimRoundingMode, depthwise)

// %% ../nbs/00c_wasm.ipynb 321c7394
function convolve(x: tf.Tensor4D, filter: tf.Tensor4D, sides: number[], dilations: Pair) {
  const [n, h, w, c] = x.shape
  const add = sides.map(k => Math.max(0, k)), cut = sides.map(k => Math.max(0, -k))
  if (Math.max(...cut) > 0) {
    x = tf.slice(x, [0, cut[0], cut[2], 0], [n, h - cut[0] - cut[1], w - cut[2] - cut[3], c])
  }
  const pad: [Pair, Pair, Pair, Pair] = [[0, 0], [add[0], add[1]], [add[2], add[3]], [0, 0]]
  return tf.conv2d(x, filter, 1, pad, 'NHWC', dilations)
}

// %% ../nbs/00c_wasm.ipynb 9bf77934
function filterGrad({ x, dy }: Inputs, attrs: ConvAttrs): tf.Tensor {
  const i = convInfo(x.shape, attrs.filterShape, attrs), { top, left } = i.padInfo
  const h = (i.outHeight - 1) * i.strideHeight + i.filterHeight
  const w = (i.outWidth - 1) * i.strideWidth + i.filterWidth
  const image = tf.transpose(x as tf.Tensor4D, [3, 1, 2, 0]) // [ci, h, w, n]
  const filter = tf.transpose(dy as tf.Tensor4D, [1, 2, 0, 3]) // [oh, ow, n, co]
  const dw = convolve(image, filter, [top, h - i.inHeight - top, left, w - i.inWidth - left],
    [i.strideHeight, i.strideWidth])
  return tf.transpose(dw, [1, 2, 0, 3]) // [ci, kh, kw, co] → [kh, kw, ci, co]
}
define('Conv2DBackpropFilter', filterGrad)

// %% ../nbs/00c_wasm.ipynb 361ce9e6
const heap = (t: tf.Tensor) => backend().typedArrayFromHeap(t) as Float32Array

function zeros(shape: number[], dtype: tf.DataType = 'float32'): tf.Tensor {
  const t = tf.engine().makeTensorFromTensorInfo(backend().makeOutput(shape, dtype))
  heap(t).fill(0)
  return t
}

// %% ../nbs/00c_wasm.ipynb f8ce97eb
function spread(x: tf.Tensor4D, sh: number, sw: number): tf.Tensor4D {
  if (sh === 1 && sw === 1) return x
  const [n, h, w, c] = x.shape, oh = (h - 1) * sh + 1, ow = (w - 1) * sw + 1
  const out = zeros([n, oh, ow, c]) as tf.Tensor4D, from = heap(x), to = heap(out)
  for (let row = 0; row < n * h; row++) {
    const start = ((row / h | 0) * oh + row % h * sh) * ow
    for (let col = 0; col < w; col++) {
      to.set(from.subarray((row * w + col) * c, (row * w + col + 1) * c), (start + col * sw) * c)
    }
  }
  return out
}

// %% ../nbs/00c_wasm.ipynb 801571f7
function inputGrad({ dy, filter }: Inputs, attrs: ConvAttrs): tf.Tensor {
  const i = convInfo(attrs.inputShape, filter.shape, attrs), { top, left } = i.padInfo
  const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]) // [kh, kw, co, ci]
  const wide = spread(dy as tf.Tensor4D, i.strideHeight, i.strideWidth), [, h, w] = wide.shape
  return convolve(wide, turned as tf.Tensor4D, [i.filterHeight - 1 - top, i.inHeight - h + top,
    i.filterWidth - 1 - left, i.inWidth - w + left], [1, 1])
}
define('Conv2DBackpropInput', inputGrad)

// %% ../nbs/00c_wasm.ipynb 4c0e75f3
type Info = tf.backend_util.Conv2DInfo
function eachTap(i: Info, f: (pixel: number, out: number, tap: number) => void): void {
  for (let o = 0; o < i.batchSize * i.outHeight * i.outWidth; o++) {
    const x = o % i.outWidth, rows = o / i.outWidth | 0
    const y = rows % i.outHeight, n = rows / i.outHeight | 0
    for (let t = 0; t < i.filterHeight * i.filterWidth; t++) {
      const row = y * i.strideHeight - i.padInfo.top + (t / i.filterWidth | 0) * i.dilationHeight
      const col = x * i.strideWidth - i.padInfo.left + t % i.filterWidth * i.dilationWidth
      const inside = row >= 0 && row < i.inHeight && col >= 0 && col < i.inWidth
      if (inside) f((n * i.inHeight + row) * i.inWidth + col, o, t)
    }
  }
}

// %% ../nbs/00c_wasm.ipynb 2f148a87
function depthwiseFilterGrad({ x, dy }: Inputs, attrs: ConvAttrs): tf.Tensor {
  const i = convInfo(x.shape, attrs.filterShape, attrs, true)
  const { inChannels: c, outChannels: cm } = i
  const dw = zeros(attrs.filterShape), m = cm / c, a = heap(x), g = heap(dy), out = heap(dw)
  eachTap(i, (p, o, t) => {
    for (let k = 0; k < cm; k++) out[t * cm + k] += a[p * c + (k / m | 0)] * g[o * cm + k]
  })
  return dw
}

function depthwiseInputGrad({ dy, filter }: Inputs, attrs: ConvAttrs): tf.Tensor {
  const i = convInfo(attrs.inputShape, filter.shape, attrs, true)
  const { inChannels: c, outChannels: cm } = i, m = cm / c
  const dx = zeros(attrs.inputShape), w = heap(filter), g = heap(dy), out = heap(dx)
  eachTap(i, (p, o, t) => {
    for (let k = 0; k < cm; k++) out[p * c + (k / m | 0)] += w[t * cm + k] * g[o * cm + k]
  })
  return dx
}
define('DepthwiseConv2dNativeBackpropFilter', depthwiseFilterGrad)
define('DepthwiseConv2dNativeBackpropInput', depthwiseInputGrad)

// %% ../nbs/00c_wasm.ipynb f362cd32
type PoolAttrs = ConvAttrs & { filterSize: number | Pair }

function maxPoolGrad({ dy, input, output }: Inputs, a: PoolAttrs): tf.Tensor {
  const i = tf.backend_util.computePool2DInfo(input.shape as Four, a.filterSize, a.strides, 1,
    a.pad, a.dimRoundingMode)
  const dx = zeros(input.shape), c = i.inChannels, done = new Uint8Array(output.size)
  const x = heap(input), y = heap(output), g = heap(dy), out = heap(dx)
  eachTap(i, (p, o) => {
    for (let k = 0; k < c; k++) {
      const from = o * c + k, to = p * c + k
      if (done[from] || x[to] !== y[from]) continue
      out[to] += g[from]
      done[from] = 1
    }
  })
  return dx
}
define('MaxPoolGrad', maxPoolGrad)

// %% ../nbs/00c_wasm.ipynb 76d95ac8
interface SegmentAttrs { numSegments: number }

function segmentSum({ x, segmentIds }: Inputs, { numSegments }: SegmentAttrs): tf.Tensor {
  const sum = zeros([numSegments, ...x.shape.slice(1)], x.dtype), n = x.size / segmentIds.size
  const from = heap(x), ids = heap(segmentIds), to = heap(sum)
  ids.forEach((id, i) => {
    if (id < 0 || id >= numSegments) return
    for (let k = 0; k < n; k++) to[id * n + k] += from[i * n + k]
  })
  return sum
}
define('UnsortedSegmentSum', segmentSum)

// %% ../nbs/00c_wasm.ipynb c398afb6
const swapLast = (t: tf.Tensor) => {
  const n = t.rank
  return tf.transpose(t, t.shape.map((_, i) => i < n - 2 ? i : 2 * n - 3 - i))
}

// %% ../nbs/00c_wasm.ipynb 74efd8ee
const shapeBytes = (shape: number[]) => new Uint8Array(new Int32Array(shape).buffer)
let lastId = 2 ** 30 // far above the numbers that tfjs gives to tensors

function products(a: tf.Tensor, b: tf.Tensor): tf.Tensor { // [n, h, k] × [n, k, w]
  const [n, h, k] = a.shape, [, , w] = b.shape, out = zeros([n, h, w])
  const { wasm, dataIdMap } = backend(), { cwrap, tfjs } = wasm as unknown as Program
  const types = Array(9).fill('number').map((type, i) => i === 1 || i === 4 ? 'array' : type)
  const multiply = cwrap('BatchMatMul', null, types)
  const place = (t: tf.Tensor, i: number, size: number) => {
    tfjs.registerTensor(++lastId, size, dataIdMap.get(t.dataId).memoryOffset + i * size * 4)
    return lastId
  }
  for (let i = 0; i < n; i++) {
    const ids = [place(a, i, h * k), place(b, i, k * w), place(out, i, h * w)]
    multiply(ids[0], shapeBytes([1, h, k]), 3, ids[1], shapeBytes([1, k, w]), 3, 0, 0, ids[2])
    ids.forEach(id => tfjs.disposeData(id))
  }
  return out
}

// %% ../nbs/00c_wasm.ipynb ac76f68e
const size = (shape: number[]) => shape.reduce((a, b) => a * b, 1)
const packed = new WeakMap<object, number>()

function isKnown(b: tf.Tensor): boolean {
  const k = b.shape.at(-2)!
  if (!packed.has(b.dataId)) packed.set(b.dataId, k)
  return packed.get(b.dataId) === k
}

// %% ../nbs/00c_wasm.ipynb 88a3443c
function batches(x: tf.Tensor, y: tf.Tensor): [number[], tf.Tensor, tf.Tensor] {
  const [a, b] = [x, y].map(t => t.shape.slice(0, -2)), k = x.shape.at(-1)!
  const outer = tf.broadcast_util.assertAndGetBroadcastShape(a, b)
  const flat = (t: tf.Tensor) => tf.reshape(t, [size(t.shape.slice(0, -2)), ...t.shape.slice(-2)])
  if (size(b) === 1 && x.size) return [outer, tf.reshape(x, [1, x.size / k, k]), flat(y)]
  const full = (t: tf.Tensor) => flat(tf.broadcastTo(t, [...outer, ...t.shape.slice(-2)]))
  return [outer, full(x), full(y)]
}

// %% ../nbs/00c_wasm.ipynb 5136dba8
interface ProductAttrs { transposeA: boolean, transposeB: boolean }

function batchMatMul({ a, b }: Inputs, { transposeA, transposeB }: ProductAttrs): tf.Tensor {
  if (a.dtype === 'int32') {
    const [x, y] = [a, b].map(t => tf.cast(t, 'float32'))
    return tf.cast(tf.matMul(x, y, transposeA, transposeB), 'int32')
  }
  const x = transposeA ? swapLast(a) : a, y = transposeB ? swapLast(b) : b
  const [h, k] = x.shape.slice(-2), [w] = y.shape.slice(-1)
  const [outer, l, r] = batches(x, y)
  const out = (t: tf.Tensor) => tf.reshape(t, [...outer, h, w])
  if (!a.size || !b.size) return out(zeros([l.shape[0], h, w]))
  const quick = r.shape[0] === 1 ? isKnown(r) : h * k * w < 16384
  const plain = { transposeA: false, transposeB: false }
  return out(quick ? first('BatchMatMul', { a: l, b: r }, plain) : products(l, r))
}
define('BatchMatMul', batchMatMul)

// %% ../nbs/00c_wasm.ipynb 7b3db3e7
interface Term { t: tf.Tensor, kept: string[] }

function einsum(inputs: Inputs, { equation }: { equation: string }): tf.Tensor {
  const [left, out] = equation.replace(/\s/g, '').split('->'), words = left.split(',')
  const named = words.flatMap((word, i) =>
    [...word].map((c, k): [string, number] => [c, inputs[i].shape[k]]))
  const sizes = new Map(named)
  const count = (letters: string[]) => size(letters.map(c => sizes.get(c)!))
  const order = ({ t, kept }: Term, to: string[]) => tf.transpose(t, to.map(c => kept.indexOf(c)))
  const terms = words.map((word, i): Term => { // first sum over what only this one has
    const others = out + words.filter((_, k) => k !== i)
    const kept = [...word].filter(c => others.includes(c))
    return { t: tf.sum(inputs[i], [...word].flatMap((c, k) => kept.includes(c) ? [] : [k])), kept }
  })
  if (terms.length === 1) return order(terms[0], [...out])
  const [a, b] = terms, both = a.kept.filter(c => b.kept.includes(c))
  const batch = both.filter(c => out.includes(c)), summed = both.filter(c => !out.includes(c))
  const rows = a.kept.filter(c => !both.includes(c)), cols = b.kept.filter(c => !both.includes(c))
  const blocks = (term: Term, ...parts: string[][]) =>
    tf.reshape(order(term, parts.flat()), parts.map(count))
  const product = tf.matMul(blocks(a, batch, rows, summed), blocks(b, batch, summed, cols))
  const kept = [...batch, ...rows, ...cols]
  return order({ t: tf.reshape(product, kept.map(c => sizes.get(c)!)), kept }, [...out])
}
define('Einsum', einsum)

// %% ../nbs/00c_wasm.ipynb c9eb9b30
function sumMiddle(x: tf.Tensor, outer: number, n: number, inner: number): tf.Tensor {
  const out = zeros([outer, inner]), from = heap(x), to = heap(out), row = new Float64Array(inner)
  for (let o = 0, at = 0; o < outer; o++) {
    row.fill(0)
    let i = 0
    for (; i + 4 <= n; i += 4, at += 4 * inner) {
      for (let k = at, r = 0; r < inner; k++, r++) {
        row[r] += from[k] + from[k + inner] + from[k + 2 * inner] + from[k + 3 * inner]
      }
    }
    for (; i < n; i++, at += inner) for (let r = 0; r < inner; r++) row[r] += from[at + r]
    to.set(row, o * inner)
  }
  return out
}

// %% ../nbs/00c_wasm.ipynb d6d21246
interface SumAttrs { axis: number | number[], keepDims: boolean }

function sum({ x }: Inputs, { axis, keepDims }: SumAttrs): tf.Tensor {
  if (x.dtype !== 'float32' || !x.size) return first('Sum', { x }, { axis, keepDims })
  const all = tf.util.parseAxisParam(axis, x.shape), axes = [...all].sort((a, b) => a - b)
  const shape = x.shape.slice()
  while (axes.length) {
    const end = axes.pop()! + 1
    let start = end - 1
    while (axes.at(-1) === start - 1) start = axes.pop()!
    const outer = size(shape.slice(0, start)), inner = size(shape.slice(end))
    const n = x.size / outer / inner
    x = inner > 1 ? sumMiddle(x, outer, n, inner)
      : first('Sum', { x: tf.reshape(x, [outer, n]) }, { axis: 1, keepDims: false })
    shape.fill(1, start, end)
  }
  return tf.reshape(x, keepDims ? shape : shape.filter((_, k) => !all.includes(k)))
}
define('Sum', sum)

// %% ../nbs/00c_wasm.ipynb 968a3b5a
function mean({ x }: Inputs, { axis, keepDims }: SumAttrs): tf.Tensor {
  const total = tf.sum(tf.cast(x, 'float32'), axis, keepDims)
  return tf.mul(total, total.size / x.size)
}
define('Mean', mean)

// %% ../nbs/00c_wasm.ipynb a10cd060
function pick(x: tf.Tensor, axis: number, ids: ArrayLike<number>): tf.Tensor {
  const n = x.shape[axis], inner = size(x.shape.slice(axis + 1)), shape = x.shape.slice()
  shape[axis] = ids.length
  const out = tf.engine().makeTensorFromTensorInfo(backend().makeOutput(shape, x.dtype))
  const from = heap(x), to = heap(out)
  for (let row = 0, at = 0; row < x.size; row += n * inner) {
    for (let i = 0; i < ids.length; i++, at += inner) {
      const start = row + ids[i] * inner
      if (inner > 16) to.set(from.subarray(start, start + inner), at)
      else for (let k = 0; k < inner; k++) to[at + k] = from[start + k]
    }
  }
  return out
}

// %% ../nbs/00c_wasm.ipynb 3eb763e0
const places = (n: number, f: (i: number) => number) =>
  Int32Array.from({ length: n }, (_, i) => f(i))
const isPlain = (x: tf.Tensor) => x.dtype !== 'string' && x.size > 0

function tile({ x }: Inputs, { reps }: { reps: number[] }): tf.Tensor {
  if (!isPlain(x) || Math.min(...reps) < 1) return first('Tile', { x }, { reps })
  const repeat = (t: tf.Tensor, r: number, k: number) =>
    r === 1 ? t : pick(t, k, places(r * t.shape[k], i => i % t.shape[k]))
  return reps.reduce(repeat, tf.clone(x))
}

function reverse({ x }: Inputs, { dims }: { dims: number | number[] }): tf.Tensor {
  if (!isPlain(x)) return first('Reverse', { x }, { dims })
  const turn = (t: tf.Tensor, k: number) => pick(t, k, places(t.shape[k], i => t.shape[k] - 1 - i))
  return tf.util.parseAxisParam(dims, x.shape).reduce(turn, tf.clone(x))
}
define('Tile', tile)
define('Reverse', reverse)

// %% ../nbs/00c_wasm.ipynb 27242ee5
interface GatherAttrs { axis: number, batchDims: number }

function gather({ x, indices }: Inputs, { axis, batchDims }: GatherAttrs): tf.Tensor {
  if (batchDims || !isPlain(x)) return first('GatherV2', { x, indices }, { axis, batchDims })
  const [k] = tf.util.parseAxisParam(axis, x.shape), n = x.shape[k], ids = heap(indices).slice()
  const wrong = ids.find(id => id < 0 || id >= n)
  if (wrong !== undefined) throw new Error(`gather: place ${wrong} is not in 0 … ${n - 1}`)
  const shape = [...x.shape.slice(0, k), ...indices.shape, ...x.shape.slice(k + 1)]
  return tf.reshape(pick(x, k, ids), shape)
}
define('GatherV2', gather)

// %% ../nbs/00c_wasm.ipynb 1e6b92e7
interface SliceAttrs {
  begin: number[]
  end: number[]
  strides: number[]
  beginMask: number
  endMask: number
  ellipsisMask: number
  newAxisMask: number
  shrinkAxisMask: number
}

function stridedSlice({ x }: Inputs, attrs: SliceAttrs): tf.Tensor {
  const { begin, end, strides, finalShape } = tf.slice_util.sliceInfo(x.shape, attrs.begin,
    attrs.end, attrs.strides, attrs.beginMask, attrs.endMask, attrs.ellipsisMask,
    attrs.newAxisMask, attrs.shrinkAxisMask)
  const counts = tf.slice_util.computeOutShape(begin, end, strides)
  if (!isPlain(x) || !size(counts)) return first('StridedSlice', { x }, attrs)
  const step = (t: tf.Tensor, n: number, k: number) =>
    pick(t, k, places(n, i => begin[k] + i * strides[k]))
  const picked = counts.reduce(step, x)
  return tf.reshape(picked, finalShape)
}
define('StridedSlice', stridedSlice)

// %% ../nbs/00c_wasm.ipynb 3cc4c59e
function depthToSpace({ x }: Inputs, { blockSize: b }: { blockSize: number }): tf.Tensor {
  const [n, h, w, c] = x.shape, d = c / b / b
  const parts = tf.reshape(x, [n, h, w, b, b, d])
  return tf.reshape(tf.transpose(parts, [0, 1, 3, 2, 4, 5]), [n, h * b, w * b, d])
}
define('DepthToSpace', depthToSpace)

// %% ../nbs/00c_wasm.ipynb eafc00b9
function widen(small: tf.Tensor, large: tf.Tensor): tf.Tensor {
  const n = large.shape.at(-1) ?? 1, fits = small.rank === large.rank && small.shape.at(-1) === 1
  if (!fits || n < 2 || n > 32 || small.size * n * 8 > large.size) return small
  return pick(small, small.rank - 1, new Int32Array(n))
}
for (const name of ['Add', 'Sub', 'Multiply', 'RealDiv', 'SquaredDifference']) {
  define(name, ({ a, b }: Inputs, attrs: object) =>
    first(name, { a: widen(a, b), b: widen(b, a) }, attrs))
}

// %% ../nbs/00c_wasm.ipynb 9edd674e
function full(t: tf.Tensor, other: tf.Tensor): tf.Tensor {
  const shape = tf.broadcast_util.assertAndGetBroadcastShape(t.shape, other.shape)
  return t.shape.at(-1) === 1 && shape.at(-1)! > 1 && t.size > 1 ? tf.broadcastTo(t, shape) : t
}
for (const name of ['Maximum', 'Minimum', 'Pow', 'Mod', 'FloorDiv', 'Atan2', 'Equal', 'NotEqual',
  'Less', 'LessEqual', 'Greater', 'GreaterEqual', 'LogicalAnd', 'LogicalOr', 'LogicalXor']) {
  define(name, ({ a, b }: Inputs, attrs: object) =>
    clamped(name, a, b) ?? first(name, { a: full(a, b), b: full(b, a) }, attrs))
}

function clamped(name: string, a: tf.Tensor, b: tf.Tensor): tf.Tensor | undefined {
  if (b.size !== 1 || b.rank > a.rank || a.dtype !== 'float32') return undefined
  if (name === 'Maximum') return tf.clipByValue(a, heap(b)[0], Infinity)
  return name === 'Minimum' ? tf.clipByValue(a, -Infinity, heap(b)[0]) : undefined
}

// %% ../nbs/00c_wasm.ipynb 1776a260
function share({ x }: Inputs): tf.Tensor {
  backend().incRef(x.dataId)
  return tf.engine().makeTensorFromTensorInfo({ dataId: x.dataId, shape: x.shape, dtype: x.dtype })
}
define('Identity', share)

function cast({ x }: Inputs, { dtype }: { dtype: tf.DataType }): tf.Tensor {
  if (x.dtype === dtype) return share({ x })
  return dtype === 'bool' ? tf.notEqual(x, 0) : first('Cast', { x }, { dtype })
}
define('Cast', cast)
