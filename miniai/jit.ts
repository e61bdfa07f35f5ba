// Do not edit: made by "npm run export" from ../nbs/07a_jit.ipynb (deaa47469b9e)
// Record what a training step does, and let a compiler turn the record into machine code.

import { mkdtempSync, rmSync, writeFileSync } from 'fs'
import { tmpdir } from 'os'
import { join } from 'path'
import { inspect } from 'util'
import { tf } from './engine'

// %% ../nbs/07a_jit.ipynb 4da35f98
type DataId = object
interface Handle { id: number, shape: number[], dtype: number }
interface Held extends Handle { values: tf.TypedArray | null, refCount: number }
interface Attr { name: string, type: number, value: unknown }
type Execute<T> = (op: string, attrs: Attr[], inputs: tf.TensorInfo[], n?: number) => T

interface Binding {
  [constant: `TF_${string}`]: number
  createTensor(shape: number[], dtype: number, values: tf.TypedArray): number
  deleteTensor(id: number): void
  loadSavedModel(folder: string, tags: string): number
  deleteSavedModel(session: number): void
  runSavedModel(session: number, inputs: number[], names: string, outputs: string): Handle[]
}

interface Native {
  binding: Binding
  isUsingGpuDevice: boolean
  tensorMap: { get(id: DataId): Held, has(id: DataId): boolean }
  executeSingleOutput: Execute<tf.Tensor>
  executeMultipleOutputs: Execute<tf.Tensor[]>
  createOutputTensor(made: Handle): tf.Tensor
  move(id: DataId, ...rest: unknown[]): void
  read(id: DataId): Promise<tf.TypedArray>
  readSync(id: DataId): tf.TypedArray
}
const native = () => tf.backend() as unknown as Native
const isNative = () => tf.getBackend() === 'tensorflow'

// %% ../nbs/07a_jit.ipynb df2dca2e
/** One operation of a graph: what it is called, what it does, whose results it takes. */
export interface Node { name: string, op: string, inputs: string[], attrs: Record<string, Attr> }

// %% ../nbs/07a_jit.ipynb cc5f340f
type From = { argument: number } | { variable: tf.Variable } | { captured: DataId }
interface Feed { name: string, shape: number[], from: From }
const registered = () => Object.values(tf.engine().registeredVariables)

// %% ../nbs/07a_jit.ipynb 72829ad7
const TENSOR = 8
const reads = 'jit: the function reads a value (dataSync, data, print) while it is recorded; '
  + 'return the tensor and read it outside'
const frozen = 'jit: the function draws random numbers, which would be the same at each call; '
  + 'draw them with JitRandom or hand them in'
const gone = (shape: number[]) => `jit: the function uses a tensor of shape [${shape}] that has `
  + 'been disposed; keep it, or make it an argument'

// %% ../nbs/07a_jit.ipynb 5f2d81b6
/** The nodes of a graph, and which tensor comes from which. */
class Notes {
  nodes: Node[] = []
  feeds: Feed[] = []
  protected names = new Map<DataId, string>()
  protected made = new Set<DataId>()
  private variables = new Map(registered().map(v => [v.dataId as DataId, v]))
  constructor(protected backend = native()) {}

  node(op: string, inputs: string[], attrs: Attr[] = []): string {
    const name = `n${this.nodes.length}`, named = attrs.map(a => [a.name, a])
    this.nodes.push({ name, op, inputs, attrs: Object.fromEntries(named) })
    return name
  }
  type(name: string, value: number): Attr {
    return { name, type: this.backend.binding.TF_ATTR_TYPE, value }
  }
  dtype = (t: tf.TensorInfo) => this.backend.tensorMap.get(t.dataId).dtype
  feed(t: tf.TensorInfo, from: From): string {
    const shape = { name: 'shape', type: this.backend.binding.TF_ATTR_SHAPE, value: t.shape }
    const name = this.node('Placeholder', [], [this.type('dtype', this.dtype(t)), shape])
    this.feeds.push({ name, shape: t.shape, from })
    this.names.set(t.dataId, name)
    return name
  }
  private constant(t: tf.TensorInfo): string {
    const all = this.backend.readSync(t.dataId), { binding } = this.backend
    const tensor = (dtype: number, shape: number[], values: tf.TypedArray) => this.node('Const', [],
      [this.type('dtype', dtype), { name: 'value', type: TENSOR, value: { dtype, shape, values } }])
    const isUniform = all.length > 16 && all.every((x: number) => x === all[0])
    if (!isUniform) return tensor(this.dtype(t), t.shape, all)
    const shape = tensor(binding.TF_INT32, [t.shape.length], Int32Array.from(t.shape))
    const inputs = [shape, tensor(this.dtype(t), [], all.subarray(0, 1))]
    const types = [this.type('T', this.dtype(t)), this.type('index_type', binding.TF_INT32)]
    return this.node('Fill', inputs, types)
  }
  /** The node that makes `t`. */
  nameOf(t: tf.TensorInfo): string {
    const known = this.names.get(t.dataId), variable = this.variables.get(t.dataId)
    if (known) return known
    if (variable) return this.feed(t, { variable })
    if (!this.made.has(t.dataId)) return this.feed(t, { captured: t.dataId })
    const name = this.constant(t)
    this.names.set(t.dataId, name)
    return name
  }
}

// %% ../nbs/07a_jit.ipynb e80b4c16
const sizeOf = ({ shape }: tf.TensorInfo) => tf.util.sizeFromShape(shape)

/** About how many multiplications an operation is worth. */
function work(op: string, inputs: tf.TensorInfo[], out: tf.TensorInfo): number {
  if (!/MatMul|Conv2D/.test(op)) return 10 * sizeOf(out)
  return Math.sqrt([...inputs, out].map(sizeOf).reduce((a, b) => a * b))
}

// %% ../nbs/07a_jit.ipynb a3a1b9d2
/** What one run of a function did: its nodes, and the inputs to be fed. */
export class Tape extends Notes {
  static isRunning = false
  error?: Error
  /** The work of its largest operation. */
  largest = 0
  private before = new Map(registered().map(v => [v, v.dataId]))

  /** The argument as the function gets it: with an identity of its own. */
  argument(t: tf.Tensor, argument: number): tf.Tensor {
    const own = this.backend.executeSingleOutput('Identity', [this.type('T', this.dtype(t))], [t])
    this.feed(own, { argument })
    return own
  }
  /** The variables whose values `f` replaced. */
  changed(): tf.Variable[] {
    return [...this.before].filter(([v, id]) => !v.isDisposed && v.dataId !== id).map(([v]) => v)
  }
  /** A node for a result: a graph cannot hand out what was just handed in. */
  result(t: tf.TensorInfo): string {
    return this.node('Identity', [this.nameOf(t)], [this.type('T', this.dtype(t))])
  }
  /** A result for the caller to dispose: of a tensor taken from outside it gets a clone. */
  given(t: tf.Tensor): tf.Tensor {
    const isOutside = ({ from }: Feed) => 'captured' in from && from.captured === t.dataId
    return this.feeds.some(isOutside) ? tf.clone(t) : t
  }
  private checked(inputs: tf.TensorInfo[]): tf.TensorInfo[] {
    const lost = inputs.find(t => !this.backend.tensorMap.has(t.dataId))
    if (lost) throw new Error(gone(lost.shape))
    return inputs
  }
  private add(op: string, attrs: Attr[], inputs: tf.TensorInfo[], outputs: tf.Tensor[]) {
    const names = inputs.map(t => this.nameOf(t))
    this.largest = Math.max(this.largest, work(op, inputs, outputs[0]))
    if (op === 'ExpandDims') attrs = [this.type('T', this.dtype(inputs[0]))]
    const name = this.node(op, names, attrs)
    outputs.forEach((t, i) => this.names.set(t.dataId, i ? `${name}:${i}` : name))
  }

  private hooks(): Partial<Native> {
    const { move, readSync } = this.backend
    const one = this.backend.executeSingleOutput, many = this.backend.executeMultipleOutputs
    return {
      executeSingleOutput: (op, attrs, inputs) => {
        const out = one.call(this.backend, op, attrs, this.checked(inputs))
        this.add(op, attrs, inputs, [out])
        return out
      },
      executeMultipleOutputs: (op, attrs, inputs, n) => {
        const outs = many.call(this.backend, op, attrs, this.checked(inputs), n)
        this.add(op, attrs, inputs, outs)
        return outs
      },
      move: (id, ...rest) => {
        this.made.add(id)
        move.call(this.backend, id, ...rest)
      },
      readSync: id => {
        if (this.made.has(id)) return readSync.call(this.backend, id)
        throw this.error = new Error(reads)
      },
      read: async () => {
        this.error = new Error(reads)
        return new Promise<never>(() => {})
      }
    }
  }
  /** Runs `f` and notes what it does. */
  record<T>(f: () => T): T {
    const hooks = this.hooks(), random = Math.random
    Object.assign(this.backend, hooks)
    Math.random = () => { throw this.error = new Error(frozen) }
    Tape.isRunning = true
    try { return f() } finally {
      Tape.isRunning = false
      Math.random = random
      for (const name of Object.keys(hooks)) delete this.backend[name as keyof Native]
    }
  }
}

// %% ../nbs/07a_jit.ipynb dcd1bb20
const colours: Record<string, string> =
  { Placeholder: '#4c78a8', Const: '#999', Identity: '#54a24b' }

function drawNode(op: string, x: number, y: number): string {
  const box = `x="${x - 48}" y="${y - 12}" width="96" height="24" rx="6"`
  return `<rect ${box} fill="${colours[op] ?? '#e58606'}"/>`
    + `<text x="${x}" y="${y + 4}" fill="#fff">${op.slice(0, 16)}</text>`
}

// %% ../nbs/07a_jit.ipynb a70e5380
/** A drawing of a small graph as SVG, inputs on top. */
export function drawGraph(nodes: Node[]): string {
  const rows: Node[][] = [], row = new Map<string, number>()
  const place = new Map<string, [number, number]>()
  for (const n of nodes) {
    const y = Math.max(-1, ...n.inputs.map(i => row.get(i.split(':')[0])!)) + 1
    row.set(n.name, y)
    rows[y] = [...rows[y] ?? [], n]
  }
  const width = 104 * Math.max(...rows.map(r => r.length))
  rows.forEach((r, y) => r.forEach((n, i) =>
    place.set(n.name, [width * (i + 0.5) / r.length, 44 * y + 20])))
  const lines = nodes.flatMap(n => n.inputs.map(i => {
    const [[x1, y1], [x2, y2]] = [place.get(i.split(':')[0])!, place.get(n.name)!]
    return `<path d="M${x1} ${y1 + 12}L${x2} ${y2 - 12}" stroke="#888"/>`
  }))
  const boxes = nodes.map(n => drawNode(n.op, ...place.get(n.name)!))
  const size = `width="${width}" height="${44 * rows.length}"`
  const font = 'font-family="sans-serif" font-size="11" text-anchor="middle"'
  const inner = [...lines, ...boxes].join('')
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${font}>${inner}</svg>`
}

// %% ../nbs/07a_jit.ipynb 7d40d24b
function varint(n: number | bigint): number[] {
  const out: number[] = []
  let rest = BigInt.asUintN(64, BigInt(n))
  for (; rest > BigInt(127); rest >>= BigInt(7)) out.push(Number(rest & BigInt(127)) | 128)
  return [...out, Number(rest)]
}
const whole = (field: number, n: number) => Buffer.from([...varint(field * 8), ...varint(n)])
function bytes(field: number, data: Uint8Array | string): Buffer {
  const head = Buffer.from([...varint(field * 8 + 2), ...varint(Buffer.byteLength(data))])
  return Buffer.concat([head, Buffer.from(data as string)])
}
const message = (field: number, ...fields: Uint8Array[]) => bytes(field, Buffer.concat(fields))
const real = (field: number, x: number) =>
  Buffer.concat([Buffer.from(varint(field * 8 + 5)), Buffer.from(Float32Array.of(x).buffer)])

// %% ../nbs/07a_jit.ipynb 57ee9d0d
const shapeBytes = (shape: number[]) => Buffer.concat(shape.map(n => message(2, whole(1, n))))
interface Constant { dtype: number, shape: number[], values: tf.TypedArray }

function setting(types: Binding, attr: Attr): Buffer {
  const v = attr.value
  const each = (f: (x: never) => Buffer) =>
    Array.isArray(v) ? message(1, ...(v as never[]).map(f)) : f(v as never)
  switch (attr.type) {
    case types.TF_ATTR_STRING: return bytes(2, v as string)
    case types.TF_ATTR_INT: return each(x => whole(3, x))
    case types.TF_ATTR_FLOAT: return each(x => real(4, x))
    case types.TF_ATTR_BOOL: return each(x => whole(5, Number(x)))
    case types.TF_ATTR_TYPE: return whole(6, v as number)
    case types.TF_ATTR_SHAPE: return message(7, shapeBytes(v as number[]))
  }
  const { dtype, shape, values } = v as Constant
  const content = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return message(TENSOR, whole(1, dtype), message(2, shapeBytes(shape)), bytes(4, content))
}

// %% ../nbs/07a_jit.ipynb 556403c1
/** The nodes as TensorFlow's saved_model.pb; those that `isXla` says are for XLA to compile. */
export function savedModel(nodes: Node[], isXla: (node: Node) => boolean): Buffer {
  const types = native().binding
  const mark = message(5, bytes(1, '_XlaCompile'), message(2, whole(5, 1)))
  const settings = (n: Node) => Object.values(n.attrs).map(a =>
    message(5, bytes(1, a.name), message(2, setting(types, a))))
  const list = nodes.map(n => message(1, bytes(1, n.name), bytes(2, n.op),
    ...n.inputs.map(i => bytes(3, i)), ...settings(n), ...isXla(n) ? [mark] : []))
  const graph = message(2, ...list, message(4, whole(1, 1087)))
  return Buffer.concat([whole(1, 1), message(2, message(1, bytes(4, 'serve')), graph)])
}

// %% ../nbs/07a_jit.ipynb 90b7e2d5
/** The multiplications of an operation from which on a second thread pays. */
const worthSharing = 1e7

// %% ../nbs/07a_jit.ipynb c0c57708
function load(tape: Tape, isXla: (node: Node) => boolean): number {
  const folder = mkdtempSync(join(tmpdir(), `miniai-jit-${process.pid}-`))
  try {
    writeFileSync(join(folder, 'saved_model.pb'), savedModel(tape.nodes, isXla))
    if (tape.largest < worthSharing) process.env.MINIAI_GRAPH_THREADS = '1'
    return native().binding.loadSavedModel(folder, 'serve')
  } finally {
    delete process.env.MINIAI_GRAPH_THREADS
    rmSync(folder, { recursive: true })
  }
}

function replace(v: tf.Variable, made: Handle): void {
  const backend = native(), held = backend.tensorMap.get(v.dataId)
  if (held.refCount > 1) return tf.tidy(() => v.assign(backend.createOutputTensor(made)))
  if (held.values === null) backend.binding.deleteTensor(held.id)
  Object.assign(held, { id: made.id, values: null })
}

// %% ../nbs/07a_jit.ipynb d86b7a68
function idOf({ from, shape }: Feed, args: tf.Tensor[]): number {
  const { tensorMap, binding } = native()
  const id = 'argument' in from ? args[from.argument].dataId
    : 'variable' in from ? from.variable.dataId : from.captured
  const isGone = 'variable' in from ? from.variable.isDisposed
    : 'captured' in from && !tensorMap.has(id)
  if (isGone) throw new Error(gone(shape))
  const held = tensorMap.get(id)
  if (held.values !== null) held.id = binding.createTensor(held.shape, held.dtype, held.values)
  held.values = null
  return held.id
}

// %% ../nbs/07a_jit.ipynb 6fa5b9fd
/** A recorded function that TensorFlow has loaded. */
export class Graph {
  private session: number
  private names: string
  private outs: string
  constructor(private tape: Tape, private changed: tf.Variable[], results: string[],
    isXla: (node: Node) => boolean) {
    this.session = load(tape, isXla)
    this.names = tape.feeds.map(f => f.name).join()
    this.outs = results.join()
  }
  run(args: tf.Tensor[]): tf.Tensor[] {
    if (!this.outs) return []
    const backend = native(), ids = this.tape.feeds.map(f => idOf(f, args))
    const made = backend.binding.runSavedModel(this.session, ids, this.names, this.outs)
    this.changed.forEach((v, i) => replace(v, made[i]))
    return made.slice(this.changed.length).map(m => backend.createOutputTensor(m))
  }
  dispose = () => native().binding.deleteSavedModel(this.session)
}

// %% ../nbs/07a_jit.ipynb 2834a22b
const different = /^(Stateless|ResizeBilinear)/, slow = /^(Depthwise)?Conv2d|^Conv2D/
const forXla = ({ op }: Node) =>
  !different.test(op) && (native().isUsingGpuDevice || !slow.test(op))

// %% ../nbs/07a_jit.ipynb 3eb1497e
/** A tensor, or lists and objects of them. */
export type Tensors = tf.Tensor | Tensors[] | { [name: string]: Tensors }

// %% ../nbs/07a_jit.ipynb 422f70aa
type Form = number | { value: unknown } | Form[] | { fields: [string, Form][] }
const isObject = (x: unknown): x is object => typeof x === 'object' && x !== null
function isPlainObject(x: unknown): x is object {
  const kind = isObject(x) ? Object.getPrototypeOf(x) : undefined
  return kind === null || kind !== undefined && Object.getPrototypeOf(kind) === null
}

function flatten(x: unknown, out: tf.Tensor[], depth = 0): Form {
  if (depth > 99) throw new Error('jit: an argument contains itself')
  const inner = (y: unknown) => flatten(y, out, depth + 1)
  if (x instanceof tf.Tensor && !(x instanceof tf.Variable)) return out.push(x) - 1
  if (Array.isArray(x)) return x.map(inner)
  if (!isPlainObject(x)) return { value: x }
  return { fields: Object.entries(x).map(([name, y]) => [name, inner(y)]) }
}

function build(form: Form, tensors: tf.Tensor[]): unknown {
  if (typeof form === 'number') return tensors[form]
  if (Array.isArray(form)) return form.map(f => build(f, tensors))
  if ('value' in form) return form.value
  return Object.fromEntries(form.fields.map(([name, f]) => [name, build(f, tensors)]))
}

// %% ../nbs/07a_jit.ipynb f65d99d5
const met = new WeakMap<object, number>()
let counted = 0
function identity(x: object): number {
  if (!met.has(x)) met.set(x, ++counted)
  return met.get(x)!
}
function shown(form: Form): string {
  if (typeof form === 'number') return `${form}`
  if (Array.isArray(form)) return `[${form.map(shown)}]`
  if ('fields' in form) return `{${form.fields.map(([name, f]) => `${inspect(name)}: ${shown(f)}`)}}`
  const { value } = form
  return isObject(value) || typeof value === 'function' ? `${typeof value} ${identity(value)}`
    : inspect({ value }, { maxStringLength: Infinity })
}
function keyOf(form: Form, tensors: tf.Tensor[]): string {
  const types = tensors.map(t => `${t.dtype}[${t.shape}]`).join()
  const isFlat = Array.isArray(form) && form.every(f => typeof f === 'number')
  return isFlat ? types : `${types} ${shown(form)}`
}

// %% ../nbs/07a_jit.ipynb cf174017
const changes = 'jit: a tensor that the function makes anew differs from one call to the next, '
  + 'like a random number or a count; hand it in, keep it in a tf.Variable, or draw it with '
  + 'JitRandom'
const others = 'jit: the function uses another outside tensor at each call; make it an argument'
const wanders = 'jit: the function did something else at each of its first calls; '
  + 'it must do the same at every call'
const text = (x: unknown) => inspect(x, { depth: 9, maxArrayLength: Infinity })
const held = (t: Tape) => t.feeds.map(({ from }) => 'captured' in from ? from.captured : undefined)
const ids = (t: Tape) => t.feeds.map(({ from }) => 'variable' in from ? from.variable.id : 0)
const plan = (t: Tape) =>
  text([ids(t), t.nodes.map(n => [n.op, n.inputs, n.op === 'Const' ? 0 : n.attrs])])

function constants(t: Tape): Buffer[] {
  const all = t.nodes.filter(n => n.op === 'Const').map(n => n.attrs.value.value as Constant)
  return all.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength))
}

function isRepeat(a: Tape, b: Tape): boolean {
  if (plan(a) !== plan(b)) return false
  const captured = held(b), theirs = constants(b)
  if (!held(a).every((id, i) => id === captured[i])) throw new Error(others)
  if (constants(a).every((c, i) => c.equals(theirs[i]))) return true
  throw new Error(changes)
}

// %% ../nbs/07a_jit.ipynb fbf3bfcd
/**
 * `xla`: at once (true), never (false), or when it pays (not given); `keep`: how many recordings,
 * one for each form of the arguments, stay (8); the one not used for longest goes.
 */
export interface JitOptions { xla?: boolean, keep?: number }

// %% ../nbs/07a_jit.ipynb a17c3e90
const msPerNode = 4

// %% ../nbs/07a_jit.ipynb 32bafc91
function sync<T>(result: T, tape?: Tape): T {
  if (result instanceof Promise) {
    result.catch(() => {})
    throw tape?.error
      ?? new Error('jit: the function is async; wait before or after it, not inside')
  }
  if (tape?.error) throw tape.error
  return result
}

function tensorsOnly(form: Form): Form {
  const parts = Array.isArray(form) ? form
    : isObject(form) && 'fields' in form ? form.fields.map(f => f[1]) : []
  parts.forEach(tensorsOnly)
  const plain = isObject(form) && 'value' in form ? form.value : undefined
  if (plain === undefined || plain === null || plain instanceof tf.Variable) return form
  throw new Error(`jit: the function returns ${inspect(plain)}, `
    + 'which would be the same at each call; return tensors')
}

// %% ../nbs/07a_jit.ipynb b3278570
class Trace {
  stage: 'recording' | 'graph' | 'xla' = 'recording'
  calls = 0
  private tape?: Tape
  private graph?: Graph
  private spent = 0
  private load?: (isXla: boolean) => Graph
  private form: Form = 0
  constructor(private f: (...args: never[]) => unknown, private argForm: Form,
    private xla?: boolean) {}

  private record(args: tf.Tensor[]): unknown {
    const tape = new Tape(), outs: tf.Tensor[] = []
    return tf.tidy(() => {
      const own = args.map((t, i) => tape.argument(t, i))
      const inputs = build(this.argForm, own) as never[]
      const result = tape.record(() => sync(this.f(...inputs), tape))
      this.form = tensorsOnly(flatten(result, outs))
      const changed = tape.changed(), results = [...changed, ...outs].map(t => tape.result(t))
      this.settle(tape, isXla => new Graph(tape, changed, results, isXla ? forXla : () => false))
      return build(this.form, outs.map(t => tape.given(t))) as tf.TensorContainer
    })
  }
  private settle(tape: Tape, load: (isXla: boolean) => Graph): void {
    if (this.tape && isRepeat(this.tape, tape)) this.load = load
    else if (++this.calls > 3) throw new Error(wanders)
    this.tape = tape
  }
  private start(isXla: boolean): void {
    this.graph?.dispose()
    this.graph = this.load!(isXla)
    this.stage = isXla ? 'xla' : 'graph'
  }
  private timed(args: tf.Tensor[]): tf.Tensor[] {
    const started = performance.now(), outs = this.graph!.run(args)
    this.spent += performance.now() - started
    return outs
  }
  private firstFused(args: tf.Tensor[]): tf.Tensor[] {
    try {
      this.start(true)
      return this.graph!.run(args)
    } catch (error) {
      if ((error as Error).message.startsWith('jit: ')) throw error
      const name = this.f.name || 'the function', why = (error as Error).message
      console.warn(`jit: XLA cannot compile ${name}, it goes on as a graph: ${why}`)
      this.xla = false
      this.start(false)
      return this.timed(args)
    }
  }
  private isDue = () => this.stage !== 'xla' && this.xla !== false
    && (this.xla || this.isSpent())
  private isSpent = () => this.tape!.largest >= worthSharing
    && this.spent > msPerNode * (this.tape!.nodes.length + 25)
  run(args: tf.Tensor[]): unknown {
    if (!this.load) return this.record(args)
    if (this.isDue()) return build(this.form, this.firstFused(args))
    if (!this.graph) this.start(false)
    return build(this.form, this.timed(args))
  }
  dispose(): void { this.graph?.dispose() }
}

// %% ../nbs/07a_jit.ipynb b29dac38
/** A compiled function; printed, it tells what was recorded. */
export type Jitted<A extends unknown[], R> = ((...args: A) => R) & { dispose(): void }

// %% ../nbs/07a_jit.ipynb a17c3e91
const isPlain = () => !isNative() || Tape.isRunning || tf.engine().state.gradientDepth > 0

// %% ../nbs/07a_jit.ipynb 3a41f16a
class Traces {
  private all = new Map<string, Trace>()
  private last?: string
  constructor(private f: (...args: never[]) => unknown, private options: JitOptions) {}
  private make(form: Form): Trace { return new Trace(this.f, form, this.options.xla) }
  find(key: string, form: Form): Trace {
    const trace = this.all.get(key) ?? this.make(form)
    if (key === this.last) return trace
    this.all.delete(key)
    this.all.set(this.last = key, trace)
    if (this.all.size > (this.options.keep ?? 8)) this.drop(this.all.keys().next().value!)
    return trace
  }
  private drop(key: string): void {
    this.all.get(key)!.dispose()
    this.all.delete(key)
  }
  dispose(): void {
    for (const key of [...this.all.keys()]) this.drop(key)
    this.last = undefined
  }
  toString = () => [`jit(${this.f.name || 'function'})`,
    ...[...this.all].map(([key, t]) => `${key.slice(0, 60)}: ${t.stage}`)].join('\n  ')
}

// %% ../nbs/07a_jit.ipynb 3951c4d0
/**
 * `f` compiled: of tensors, or lists and objects of them; it may read and assign variables. What
 * else it takes from outside, a number or a flag, stays as it was in its first two calls.
 */
export function jit<A extends unknown[], R>(f: (...args: A) => R, options: JitOptions = {}) {
  const traces = new Traces(f, options)
  const call = (...args: A): R => {
    if (isPlain()) return tf.tidy(() => sync(f(...args)) as tf.TensorContainer) as R
    const tensors: tf.Tensor[] = [], form = flatten(args, tensors)
    const lost = tensors.find(t => t.isDisposed)
    if (lost) throw new Error(`jit: an argument of shape [${lost.shape}] has been disposed`)
    return traces.find(keyOf(form, tensors), form).run(tensors) as R
  }
  const face = { dispose: () => traces.dispose(), [inspect.custom]: () => String(traces) }
  return Object.assign(call, face) as Jitted<A, R>
}

// %% ../nbs/07a_jit.ipynb 2033372d
function stateless(op: string, shape: number[], seed: tf.Tensor): tf.Tensor {
  const backend = native(), { TF_ATTR_TYPE, TF_FLOAT, TF_INT32 } = backend.binding
  const types = [['dtype', TF_FLOAT], ['T', TF_INT32], ['Tseed', TF_INT32]] as const
  const attrs = types.map(([name, value]) => ({ name, type: TF_ATTR_TYPE, value }))
  return backend.executeSingleOutput(op, attrs, [tf.tensor1d(shape, 'int32'), seed])
}
const seedOf = ([a, b]: Iterable<number>) => (a + 1) * 65537 + b

// %% ../nbs/07a_jit.ipynb c2295b99
/**
 * Random numbers that `jit` can record: float32 tensors of any shape, by Philox (Salmon and
 * others, 2011). `state` [seed, draws] is a variable; in a field of a Module it is stored with it.
 */
export class JitRandom {
  state: tf.Variable
  constructor(seed: number) {
    const ok = Number.isInteger(seed) && seed >= 0 && seed < 2 ** 31
    if (!ok) throw new RangeError(`JitRandom: wanted a whole number ≥ 0, below 2³¹, got ${seed}`)
    this.state = tf.variable(tf.tensor1d([seed, 0], 'int32'), false)
  }
  private next(op: string, otherwise: (seed: number) => tf.Tensor, shape: number[]): tf.Tensor {
    const ok = shape.every(n => Number.isInteger(n) && n >= 0)
    if (!ok) throw new RangeError(`JitRandom: wanted a shape of whole numbers ≥ 0, got [${shape}]`)
    if (this.state.isDisposed) throw new Error('JitRandom: its state has been disposed')
    return tf.tidy(() => {
      const o = isNative() ? stateless(op, shape, this.state)
        : otherwise(seedOf(this.state.dataSync()))
      this.state.assign(isNative() ? tf.add(this.state, tf.tensor1d([0, 1], 'int32'))
        : tf.tensor1d([...this.state.dataSync()].map((n, i) => n + i), 'int32'))
      return o
    })
  }
  dispose(): void { this.state.dispose() }
  /** Numbers of mean 0 and deviation 1. */
  normal(shape: number[]): tf.Tensor {
    const otherwise = (seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed)
    return this.next('StatelessRandomNormal', otherwise, shape)
  }
  /** Numbers from 0 up to 1. */
  uniform(shape: number[]): tf.Tensor {
    const otherwise = (seed: number) => tf.randomUniform(shape, 0, 1, 'float32', seed)
    return this.next('StatelessRandomUniform', otherwise, shape)
  }
}
