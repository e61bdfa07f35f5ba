// Do not edit: made by "npm run export" from ../nbs/00d_engine.ipynb (b238cbc3279a)
// Which machinery does the arithmetic, and what a tensor looks like. To be skipped at first.

import * as tf from '@tensorflow/tfjs-core'
import { execFileSync } from 'child_process'
import { closeSync, existsSync, openSync } from 'fs'
import { availableParallelism, cpus } from 'os'
import { dirname, join } from 'path'
import util from 'util'
import { inspect } from 'util'
import { startWasm } from './wasm'
export { tf }

// %% ../nbs/00d_engine.ipynb 30fa8bf6
type Chained =
  typeof import('@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops')
void require('@tensorflow/tfjs')

// %% ../nbs/00d_engine.ipynb b677cf9d
function quietly<T>(f: () => T): T {
  if (process.platform === 'win32') return f()
  const c = require('koffi').load(null)
  const [dup, dup2] = [c.func('int dup(int)'), c.func('int dup2(int, int)')]
  const stderr = dup(2), nowhere = openSync('/dev/null', 'w')
  const restore = () => {
    dup2(stderr, 2)
    closeSync(stderr)
    closeSync(nowhere)
  }
  dup2(nowhere, 2)
  let o: unknown
  try { return (o = f()) as T } finally {
    const later = (o as Partial<Promise<T>> | undefined)?.then
    later ? later.call(o, restore, restore) : restore()
  }
}

// %% ../nbs/00d_engine.ipynb eb25f20f
interface Started { version: string, device: string, threads: number }
const processor = () => cpus()[0]?.model.replace(/\s+/g, ' ').trim() ?? process.arch
const onProcessor = (version: string, threads: number): Started =>
  ({ version, device: processor(), threads })

// %% ../nbs/00d_engine.ipynb 5a8b0c6f
function restoreNodeUtil(): void {
  const old = util as unknown as Record<string, (x: unknown) => boolean>
  old.isNullOrUndefined = x => x === null || x === undefined
  old.isArray = Array.isArray
}

interface TensorflowBackend { binding: { TF_Version: string }, isUsingGpuDevice: boolean }
const cudaName = () => execFileSync('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader'],
  { encoding: 'utf8' }).split('\n')[0]

// %% ../nbs/00d_engine.ipynb cc6a7742
async function startTensorflow(): Promise<Started> {
  const folder = dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json'))
  if (!existsSync(join(folder, 'lib/napi-v8/tfjs_binding.node'))) {
    throw new Error('its C++ binding is not built; "npm run setup" builds it')
  }
  restoreNodeUtil()
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2'
  process.env.TF_NUM_INTEROP_THREADS ??= '-1' // a graph runs in the thread that calls it
  process.env.TF_OVERRIDE_GLOBAL_THREADPOOL ??= '1' // and has its own threads to share work with
  quietly(() => require('@tensorflow/tfjs-node-gpu'))
  const { binding, isUsingGpuDevice } = tf.backend() as unknown as TensorflowBackend
  const version = binding.TF_Version
  return isUsingGpuDevice ? { version, device: cudaName(), threads: availableParallelism() }
    : onProcessor(version, availableParallelism())
}

// %% ../nbs/00d_engine.ipynb 08084203
interface Adapter {
  info: { vendor: string, architecture: string, description: string, isFallbackAdapter: boolean }
  features: Set<string>
  limits: Record<string, number>
  requestDevice(wish: object): Promise<object>
}

const isSoftware = ({ info }: Adapter) => info.isFallbackAdapter
  || /swiftshader|llvmpipe|lavapipe|basic render/i.test(info.architecture + info.description)

// %% ../nbs/00d_engine.ipynb 1645365f
async function findAdapter(isAsked: boolean): Promise<Adapter> {
  const { create, globals } = require('webgpu')
  Object.assign(globalThis, globals)
  const gpu = quietly(() => create([])), options = { powerPreference: 'high-performance' }
  const browser = (globalThis as { navigator?: object }).navigator ?? {}
  Object.defineProperty(browser, 'gpu', { value: gpu, configurable: true })
  Object.defineProperty(globalThis, 'navigator', { value: browser, configurable: true })
  const adapter: Adapter | null = await quietly(() => gpu.requestAdapter(options))
  if (!adapter) throw new Error('Vulkan, Metal or Direct3D 12 shows no graphics card')
  if (isSoftware(adapter) && !isAsked) throw new Error('the only graphics card is a program')
  return adapter
}

// %% ../nbs/00d_engine.ipynb 6264bcf2
const _limits = ['maxComputeWorkgroupStorageSize', 'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize', 'maxBufferSize', 'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup']

/** The graphics card as a WebGPU device with all it can do; one in software only if `isAsked`. */
export async function graphicsCard(isAsked = false) {
  const adapter = await findAdapter(isAsked), { info, features } = adapter
  const device = await adapter.requestDevice({
    requiredFeatures: ['timestamp-query'].filter(name => features.has(name)),
    requiredLimits: Object.fromEntries(_limits.map(name => [name, adapter.limits[name]]))
  })
  return { device, info, name: info.description || info.vendor }
}

// %% ../nbs/00d_engine.ipynb 5c1e7d0a
async function startWebgpu(isAsked: boolean): Promise<Started> {
  const { device, info, name } = await graphicsCard(isAsked)
  const { WebGPUBackend } = require('@tensorflow/tfjs-backend-webgpu')
  tf.removeBackend('webgpu')
  tf.registerBackend('webgpu', () => new WebGPUBackend(device, info), 3)
  return { version: tf.version_core, device: name, threads: 1 }
}

// %% ../nbs/00d_engine.ipynb 50fb687c
async function startWasmBackend(): Promise<Started> {
  return onProcessor(tf.version_core, await startWasm())
}

async function startCpu(): Promise<Started> {
  await tf.setBackend('cpu')
  Object.assign(tf.backend(), { firstUse: false }) // no advice to install tfjs-node
  return onProcessor(tf.version_core, 1)
}

// %% ../nbs/00d_engine.ipynb ee93c2bc
/** The names of the backends, in the order in which they are tried. */
export const backendNames = ['tensorflow', 'webgpu', 'wasm', 'cpu'] as const
export type BackendName = typeof backendNames[number]

// %% ../nbs/00d_engine.ipynb aae40037
const starts: Record<BackendName, (isAsked: boolean) => Promise<Started>> =
  { tensorflow: startTensorflow, webgpu: startWebgpu, wasm: startWasmBackend, cpu: startCpu }

// %% ../nbs/00d_engine.ipynb 08f64c26
/** A backend in use: `device` is a processor or graphics card, `why` the reason for the choice. */
export class Backend {
  constructor(public name: BackendName, public version: string, public device: string,
    public threads: number, public why: string) {}
  toString() {
    const threads = `${this.threads} thread${this.threads === 1 ? '' : 's'}`
    return [`${this.name} ${this.version}`, this.device, threads, this.why].join(' · ')
  }
  [inspect.custom]() { return this.toString() }
}

// %% ../nbs/00d_engine.ipynb 171498e9
const running = new Map<BackendName, Promise<Backend>>()
const mends = new Map<BackendName, () => void>() // filled further down
let current: BackendName | undefined

async function start(name: BackendName, why: string, isAsked: boolean): Promise<Backend> {
  const { version, device, threads } = await starts[name](isAsked)
  mends.get(name)?.()
  return new Backend(name, version, device, threads, why)
}

async function use(name: BackendName, why: string, isAsked: boolean): Promise<Backend> {
  const known = running.get(name) ?? start(name, why, isAsked)
  running.set(name, known)
  known.catch(() => running.delete(name))
  const backend = await known
  if (!await tf.setBackend(name)) throw new Error('it did not start')
  current = name
  return backend
}

// %% ../nbs/00d_engine.ipynb 427ea184
function checkName(name: string, from: string): BackendName {
  const found = backendNames.find(known => known === name)
  if (found) return found
  throw new Error(`${from}: there is no backend "${name}"; there are ${backendNames.join(', ')}`)
}

const firstLine = (error: unknown) => (error as Error).message.split('\n')[0]

async function firstThatStarts(): Promise<Backend> {
  const failed: string[] = []
  for (const name of backendNames) {
    const why = failed.length ? failed.join('; ') : 'the first choice'
    try { return await use(name, why, false) } catch (error) {
      failed.push(`no ${name}: ${firstLine(error)}`)
    }
  }
  throw new Error(`useBackend: no backend starts: ${failed.join('; ')}`)
}

// %% ../nbs/00d_engine.ipynb 38dd2f1a
/** Starts the named backend, that of `MINIAI_BACKEND`, the one in use, or the first that works. */
export async function useBackend(name?: string): Promise<Backend> {
  const { MINIAI_BACKEND: wish } = process.env
  const from = name ? 'useBackend' : 'MINIAI_BACKEND', asked = name ?? (wish || undefined)
  if (!asked) return current ? running.get(current)! : firstThatStarts()
  const known = checkName(asked, from)
  try { return await use(known, `asked for by ${from}`, true) } catch (error) {
    throw new Error(`${from}: ${known} cannot be used: ${firstLine(error)}`)
  }
}

// %% ../nbs/00d_engine.ipynb 85ce2841
type Item = number | string | boolean | null
type Nested = Item | Nested[]

function format(items: Item[], dtype: string): (x: Item) => string {
  if (dtype === 'string') return x => JSON.stringify(x)
  if (dtype === 'bool') return x => String(Boolean(x))
  const numbers = (items as number[]).filter(x => Number.isFinite(x) && x !== 0).map(Math.abs)
  const most = Math.max(...numbers), least = Math.min(...numbers)
  if (numbers.every(Number.isInteger) && (most < 1e7 || !numbers.length)) return x => String(x)
  if (most >= 1e5 || most < 1 && least < 1e-4) return x => (x as number).toExponential(3)
  return x => (x as number + 0).toFixed(4)
}

// %% ../nbs/00d_engine.ipynb 9b2d8ed1
const shownOf = (rank: number) =>
  [[], [10], [5, 8], [5, 2, 4]][rank] ?? [5, ...Array(rank - 3).fill(1), 2, 2]

function corners(x: Nested, [most, ...rest]: number[]): Nested {
  if (!Array.isArray(x)) return x
  const from = Math.ceil(most / 2), to = x.length - (most >> 1)
  const inner = (y: Nested) => corners(y, rest)
  if (x.length <= most) return x.map(inner)
  return [...x.slice(0, from).map(inner), null, ...x.slice(to).map(inner)]
}

// %% ../nbs/00d_engine.ipynb 4fad29b9
interface GpuBackend { tensorMap: Map<object, { values?: unknown }> }

function read(t: tf.Tensor): Nested | undefined {
  const { tensorMap } = tf.backend() as unknown as GpuBackend
  if (tf.getBackend() === 'webgpu' && !tensorMap.get(t.dataId)?.values) return undefined
  const [n, ...rest] = t.shape
  if (t.size < 1e6 || n < 12 || tf.getBackend() === 'webgpu') return t.arraySync() as Nested
  const rows = (from: number, k: number) =>
    tf.tidy(() => tf.slice(t, [from, ...rest.map(() => 0)], [k, ...rest]).arraySync()) as Nested[]
  return [...rows(0, 6), ...rows(n - 5, 5)]
}

// %% ../nbs/00d_engine.ipynb aac9e7ce
const leaves = (x: Nested): Item[] => Array.isArray(x) ? x.flatMap(leaves) : [x]

function write(x: Nested, item: (x: Item) => string): string {
  if (!Array.isArray(x)) return x === null ? '…' : item(x)
  return `[${x.map(y => write(y, item)).join(', ')}]`
}

// %% ../nbs/00d_engine.ipynb 823ef719
function face(t: tf.Tensor): string {
  const kind = t instanceof tf.Variable ? 'variable' : 'tensor'
  const type = `shape [${t.shape.join(', ')}], ${t.dtype}`
  if (t.isDisposed) return `${kind}(disposed, ${type})`
  const all = read(t)
  if (all === undefined) return `${kind}(on the graphics card, ${type}; await t.data() reads it)`
  const part = corners(all, shownOf(t.rank)), items = leaves(part).filter(x => x !== null)
  const text = format(items, t.dtype), width = Math.max(0, ...items.map(x => text(x).length))
  const scalarType = t.dtype === 'float32' ? '' : `, ${t.dtype}`
  if (!Array.isArray(part)) return `${kind}(${text(part)}${scalarType})`
  const lines = part.map(row => write(row, x => text(x).padStart(t.rank > 1 ? width : 0)))
  const between = t.rank > 1 ? ',\n' + ' '.repeat(kind.length + 2) : ', '
  return `${kind}([${lines.join(between)}], ${type})`
}
void Object.defineProperty(tf.Tensor.prototype, inspect.custom,
  { value(this: tf.Tensor) { return face(this) }, configurable: true })

// %% ../nbs/00d_engine.ipynb 1b8a3c0e
function sumTo(g: tf.Tensor, shape: number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes(shape, g.shape)
  return tf.reshape(axes.length ? tf.sum(g, axes) : g, shape)
}

for (const kernelName of ['Maximum', 'Minimum', 'SquaredDifference', 'BatchMatMul']) {
  const old = tf.getGradient(kernelName)
  tf.registerGradient({ ...old, gradFunc: (dy, saved, attrs) => {
    const { a, b } = old.gradFunc(dy, saved, attrs)
    return { a: () => sumTo(a(), saved[0].shape), b: () => sumTo(b(), saved[1].shape) }
  } })
}

// %% ../nbs/00d_engine.ipynb 57cc1676
for (const kernelName of ['Greater', 'Less', 'LessEqual', 'Equal', 'NotEqual', 'LogicalAnd',
  'LogicalOr']) {
  tf.registerGradient({ kernelName, inputsToSave: ['a', 'b'], gradFunc: (dy, [a, b]) =>
    ({ a: () => tf.zeros(a.shape), b: () => tf.zeros(b.shape) }) })
}
tf.registerGradient({ kernelName: 'LogicalNot', inputsToSave: ['x'],
  gradFunc: (dy, [x]) => ({ x: () => tf.zeros(x.shape) }) })

// %% ../nbs/00d_engine.ipynb e5c0b6ba
interface CumsumAttrs { axis: number, exclusive: boolean, reverse: boolean }
tf.registerGradient({ kernelName: 'Cumsum', gradFunc: (dy, saved, attrs) => {
  const { axis, exclusive, reverse } = attrs as unknown as CumsumAttrs
  return { x: () => tf.cumsum(dy as tf.Tensor, axis, exclusive, !reverse) }
} })

// %% ../nbs/00d_engine.ipynb ac0b2ca7
interface MirrorAttrs { paddings: [number, number][], mode: 'reflect' | 'symmetric' }

function mirrorGrad(dy: tf.Tensor, axis: number, n: number, ids: number[]): tf.Tensor {
  const order = [axis, ...dy.shape.keys()].filter((k, i) => i === 0 || k !== axis)
  const sum = tf.unsortedSegmentSum(tf.transpose(dy, order), tf.tensor1d(ids, 'int32'), n)
  return tf.transpose(sum, order.map((_, k) => order.indexOf(k)))
}
/** The place, of `n`, that the mirrors show at place `i` in front of or behind them. */
function mirrored(i: number, n: number, edge: number): number {
  const period = 2 * (n - 1 + edge), k = (i % period + period) % period
  return Math.min(k, period - k - edge)
}

tf.registerGradient({ kernelName: 'MirrorPad', inputsToSave: ['x'], gradFunc: (dy, [x], attrs) => {
  const { paddings, mode } = attrs as unknown as MirrorAttrs, edge = mode === 'symmetric' ? 1 : 0
  const alongAxis = (g: tf.Tensor, [before, after]: [number, number], k: number) => {
    const n = x.shape[k], places = [...Array(n + before + after).keys()]
    return mirrorGrad(g, k, n, places.map(i => mirrored(i - before, n, edge)))
  }
  return { x: () => paddings.reduce(alongAxis, dy as tf.Tensor) }
} })

// %% ../nbs/00d_engine.ipynb 95984151
type Pair = number | [number, number]
interface PoolAttrs { filterSize: Pair, strides: Pair, pad: 'same' | 'valid' | number }

/** For the windows of one axis: size ÷ places that lie within 0 … n. */
function excess(starts: number[], size: number, n: number): tf.Tensor {
  return tf.tensor1d(starts.map(i => size / (Math.min(i + size, n) - Math.max(i, 0))))
}

function fullWindows(dy: tf.Tensor, x: tf.Tensor, a: PoolAttrs): tf.Tensor {
  const shape = x.shape as [number, number, number, number]
  const i = tf.backend_util.computePool2DInfo(shape, a.filterSize, a.strides, 1, a.pad)
  const starts = (n: number, stride: number, before: number) =>
    [...Array(n).keys()].map(k => k * stride - before)
  const ys = starts(i.outHeight, i.strideHeight, i.padInfo.top)
  const xs = starts(i.outWidth, i.strideWidth, i.padInfo.left)
  const rows = tf.reshape(excess(ys, i.filterHeight, i.inHeight), [-1, 1, 1])
  return tf.mul(dy, tf.mul(rows, tf.reshape(excess(xs, i.filterWidth, i.inWidth), [-1, 1])))
}

// %% ../nbs/00d_engine.ipynb 8ff72bcc
const oldAvgPool = tf.getGradient('AvgPool')
tf.registerGradient({ ...oldAvgPool, gradFunc: (dy, saved, attrs) => {
  const isRight = tf.getBackend() === 'tensorflow'
  const g = isRight ? dy : fullWindows(dy as tf.Tensor, saved[0], attrs as unknown as PoolAttrs)
  return oldAvgPool.gradFunc(g, saved, attrs)
} })

// %% ../nbs/00d_engine.ipynb a98c7e02
interface ConvAttrs {
  strides: number | [number, number]
  pad: 'same' | 'valid' | number
  dilations?: number | [number, number]
  filterShape: Four
  inputShape: Four
}
type Four = [number, number, number, number]
type Inputs = Record<string, tf.Tensor>
type Kernel<A> = (inputs: Inputs, attrs: A) => tf.Tensor

type Make<A> = (old: Kernel<A>) => Kernel<A>

function replaceKernel<A>(kernelName: string, backendName: string, make: Make<A>): void {
  const config = tf.getKernel(kernelName, backendName), { kernelFunc } = config
  const old: Kernel<A> = (inputs, attrs) => {
    const t = kernelFunc({ inputs, attrs: attrs as never, backend: tf.backend() }) as tf.TensorInfo
    return t instanceof tf.Tensor ? t : tf.engine().makeTensorFromTensorInfo(t)
  }
  const made = make(old)
  tf.unregisterKernel(kernelName, backendName)
  tf.registerKernel({ ...config, kernelFunc: ({ inputs, attrs }) =>
    tf.tidy(() => made(inputs as Inputs, attrs as never)) })
}

// %% ../nbs/00d_engine.ipynb 8b55902f
function bordersOf(x: number[], w: number[], a: ConvAttrs): [number, number][] | undefined {
  if (typeof a.pad === 'string') return undefined
  const { padInfo: p } = tf.backend_util.computeConv2DInfo(x as Four, w as Four, a.strides,
    a.dilations ?? 1, a.pad)
  return [[0, 0], [p.top, p.bottom], [p.left, p.right], [0, 0]]
}

void mends.set('tensorflow', () => {
  replaceKernel<ConvAttrs>('Conv2D', 'tensorflow', old => ({ x, filter }, a) => {
    const borders = bordersOf(x.shape, filter.shape, a)
    if (!borders) return old({ x, filter }, a)
    return old({ x: tf.pad(x, borders), filter }, { ...a, pad: 'valid' })
  })
  replaceKernel<ConvAttrs>('Conv2DBackpropFilter', 'tensorflow', old => ({ x, dy }, a) => {
    const borders = bordersOf(x.shape, a.filterShape, a)
    if (!borders) return old({ x, dy }, a)
    return old({ x: tf.pad(x, borders), dy }, { ...a, pad: 'valid' })
  })
  replaceKernel<ConvAttrs>('Conv2DBackpropInput', 'tensorflow', old => ({ dy, filter }, a) => {
    const borders = bordersOf(a.inputShape, filter.shape, a)
    if (!borders) return old({ dy, filter }, a)
    const inputShape = a.inputShape.map((n, k) => n + borders[k][0] + borders[k][1]) as Four
    const wide = old({ dy, filter }, { ...a, inputShape, pad: 'valid' })
    return tf.slice(wide, borders.map(border => border[0]), a.inputShape)
  })
})

// %% ../nbs/00d_engine.ipynb eb93690e
type Resize = typeof tf.image.resizeBilinear
function resizeGrad(resize: Resize, { images, dy }: Inputs, align: boolean): tf.Tensor {
  const matrix = (from: number, to: number) => {
    const units = tf.reshape(tf.eye(from), [1, from, 1, from]) as tf.Tensor4D
    return tf.reshape(resize(units, [to, 1], align), [to, from])
  }
  const [, h, w] = images.shape, [, y, x] = dy.shape
  return tf.einsum('nhxc,xw->nhwc', tf.einsum('nyxc,yh->nhxc', dy, matrix(h, y)), matrix(w, x))
}

// %% ../nbs/00d_engine.ipynb 50c2c371
for (const [kernelName, resize] of [['ResizeBilinearGrad', tf.image.resizeBilinear],
  ['ResizeNearestNeighborGrad', tf.image.resizeNearestNeighbor]] as [string, Resize][]) {
  replaceKernel<{ alignCorners: boolean }>(kernelName, 'cpu', () => (inputs, { alignCorners }) =>
    resizeGrad(resize, inputs, alignCorners))
}

// %% ../nbs/00d_engine.ipynb 4f06ae19
void mends.set('webgpu', () => {
  replaceKernel<CumsumAttrs>('Cumsum', 'webgpu', old => ({ x }, attrs) => {
    const turn = (t: tf.Tensor) => attrs.reverse ? tf.reverse(t, attrs.axis) : t
    return tf.clone(turn(old({ x: turn(x) }, { ...attrs, reverse: false })))
  })
})

// %% ../nbs/00d_engine.ipynb 6b9db43c
function einsumGrad(dy: tf.Tensor, inputs: tf.Tensor[], equation: string): tf.Tensor[] {
  const [left, out] = equation.replace(/\s/g, '').split('->'), words = left.split(',')
  return words.map((word, i) => {
    const other = words[1 - i] ?? ''
    const found = [...word].filter(c => (out + other).includes(c)).join('')
    const terms = other ? [dy, inputs[1 - i]] : [dy]
    const g = tf.einsum(`${other ? `${out},${other}` : out}->${found}`, ...terms)
    const spread = tf.reshape(g, inputs[i].shape.map((n, k) => found.includes(word[k]) ? n : 1))
    return tf.broadcastTo(spread, inputs[i].shape)
  })
}
tf.registerGradient({ kernelName: 'Einsum', saveAllInputs: true, gradFunc: (dy, saved, attrs) => {
  const grads = einsumGrad(dy as tf.Tensor, saved, attrs.equation as string)
  return Object.fromEntries(grads.map((g, i) => [i, () => g]))
} })
