// Do not edit: made by "npm run export" from ../nbs/07a_jit.ipynb (adf2dcfbe858)
// Record what a training step does, write it down as a graph, and let a compiler turn the graph into machine code.

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

// %% ../nbs/07a_jit.ipynb 7981fa01
/** What one run of a function did: its nodes, and the inputs to be fed. */
export class Tape {
  static isRunning = false
  nodes: Node[] = []
  feeds: Feed[] = []
  error?: Error
  private names = new Map<DataId, string>()
  private made = new Set<DataId>()
  private before = new Map(registered().map(v => [v, v.dataId]))
  private variables = new Map(registered().map(v => [v.dataId as DataId, v]))
  constructor(private backend = native()) {}

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
    return this.node('Fill', inputs, [this.type('T', this.dtype(t)), this.type('index_type', binding.TF_INT32)])
  }
  /** The argument as the function gets it: with an identity of its own, whoever else holds the data. */
  argument(t: tf.Tensor, argument: number): tf.Tensor {
    const own = this.backend.executeSingleOutput('Identity', [this.type('T', this.dtype(t))], [t])
    this.feed(own, { argument })
    return own
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
  private add(op: string, attrs: Attr[], inputs: tf.TensorInfo[], outputs: tf.Tensor[]) {
    const names = inputs.map(t => this.nameOf(t))
    if (op === 'ExpandDims') attrs = [this.type('T', this.dtype(inputs[0]))]
    const name = this.node(op, names, attrs)
    outputs.forEach((t, i) => this.names.set(t.dataId, i ? `${name}:${i}` : name))
  }
  /** The variables whose values `f` replaced. */
  changed = () => [...this.before].filter(([v, id]) => !v.isDisposed && v.dataId !== id).map(([v]) => v)
  /** A node for a result: a graph cannot hand out what was just handed in. */
  result = (t: tf.TensorInfo) => this.node('Identity', [this.nameOf(t)], [this.type('T', this.dtype(t))])

  private hooks(): Partial<Native> {
    const { move, readSync } = this.backend
    const one = this.backend.executeSingleOutput, many = this.backend.executeMultipleOutputs
    return {
      executeSingleOutput: (op, attrs, inputs) => {
        const out = one.call(this.backend, op, attrs, inputs)
        this.add(op, attrs, inputs, [out])
        return out
      },
      executeMultipleOutputs: (op, attrs, inputs, n) => {
        const outs = many.call(this.backend, op, attrs, inputs, n)
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

// %% ../nbs/07a_jit.ipynb 37c482f7
const colours: Record<string, string> = { Placeholder: '#4c78a8', Const: '#999', Identity: '#54a24b' }

function drawNode(op: string, x: number, y: number): string {
  return `<rect x="${x - 48}" y="${y - 12}" width="96" height="24" rx="6" fill="${colours[op] ?? '#e58606'}"/>`
    + `<text x="${x}" y="${y + 4}" fill="#fff">${op.slice(0, 16)}</text>`
}

// %% ../nbs/07a_jit.ipynb 0ba0a291
/** A drawing of a small graph as SVG, inputs on top. */
export function drawGraph(nodes: Node[]): string {
  const rows: Node[][] = [], row = new Map<string, number>(), place = new Map<string, [number, number]>()
  for (const n of nodes) {
    const y = Math.max(-1, ...n.inputs.map(i => row.get(i.split(':')[0])!)) + 1
    row.set(n.name, y)
    rows[y] = [...rows[y] ?? [], n]
  }
  const width = 104 * Math.max(...rows.map(r => r.length))
  rows.forEach((r, y) => r.forEach((n, i) => place.set(n.name, [width * (i + 0.5) / r.length, 44 * y + 20])))
  const lines = nodes.flatMap(n => n.inputs.map(i => {
    const [[x1, y1], [x2, y2]] = [place.get(i.split(':')[0])!, place.get(n.name)!]
    return `<path d="M${x1} ${y1 + 12}L${x2} ${y2 - 12}" stroke="#888"/>`
  }))
  const boxes = nodes.map(n => drawNode(n.op, ...place.get(n.name)!))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${44 * rows.length}" `
    + `font-family="sans-serif" font-size="11" text-anchor="middle">${lines.join('')}${boxes.join('')}</svg>`
}

// %% ../nbs/07a_jit.ipynb b5ba92d0
function varint(n: number | bigint): number[] {
  const out: number[] = []
  let rest = BigInt.asUintN(64, BigInt(n))
  for (; rest > BigInt(127); rest >>= BigInt(7)) out.push(Number(rest & BigInt(127)) | 128)
  return [...out, Number(rest)]
}
const whole = (field: number, n: number) => Buffer.from([...varint(field * 8), ...varint(n)])
const bytes = (field: number, data: Uint8Array | string) =>
  Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(Buffer.byteLength(data))]), Buffer.from(data as string)])
const message = (field: number, ...fields: Uint8Array[]) => bytes(field, Buffer.concat(fields))
const real = (field: number, x: number) =>
  Buffer.concat([Buffer.from(varint(field * 8 + 5)), Buffer.from(Float32Array.of(x).buffer)])

// %% ../nbs/07a_jit.ipynb 19cce136
const shapeBytes = (shape: number[]) => Buffer.concat(shape.map(n => message(2, whole(1, n))))
interface Constant { dtype: number, shape: number[], values: tf.TypedArray }

function setting(types: Binding, attr: Attr): Buffer {
  const v = attr.value
  const each = (f: (x: never) => Buffer) => Array.isArray(v) ? message(1, ...(v as never[]).map(f)) : f(v as never)
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

// %% ../nbs/07a_jit.ipynb 3b757752
/** The nodes as TensorFlow's saved_model.pb; those that `isXla` says are for XLA to compile. */
export function savedModel(nodes: Node[], isXla: (node: Node) => boolean, types = native().binding): Buffer {
  const mark = message(5, bytes(1, '_XlaCompile'), message(2, whole(5, 1)))
  const list = nodes.map(n => message(1, bytes(1, n.name), bytes(2, n.op), ...n.inputs.map(i => bytes(3, i)),
    ...Object.values(n.attrs).map(a => message(5, bytes(1, a.name), message(2, setting(types, a)))),
    ...isXla(n) ? [mark] : []))
  const graph = message(2, ...list, message(4, whole(1, 1087)))
  return Buffer.concat([whole(1, 1), message(2, message(1, bytes(4, 'serve')), graph)])
}

// %% ../nbs/07a_jit.ipynb c0c57708
function load(tape: Tape, isXla: (node: Node) => boolean): number {
  const folder = mkdtempSync(join(tmpdir(), `miniai-jit-${process.pid}-`))
  try {
    writeFileSync(join(folder, 'saved_model.pb'), savedModel(tape.nodes, isXla))
    return native().binding.loadSavedModel(folder, 'serve')
  } finally { rmSync(folder, { recursive: true }) }
}

function replace(v: tf.Variable, made: Handle): void {
  const backend = native(), held = backend.tensorMap.get(v.dataId)
  if (held.refCount > 1) return tf.tidy(() => v.assign(backend.createOutputTensor(made)))
  if (held.values === null) backend.binding.deleteTensor(held.id)
  Object.assign(held, { id: made.id, values: null })
}

// %% ../nbs/07a_jit.ipynb 00dd18c3
const gone = (shape: number[]) => `jit: the function uses a tensor of shape [${shape}] that has been disposed; `
  + 'keep it, or make it an argument'

function idOf({ from, shape }: Feed, args: tf.Tensor[]): number {
  const { tensorMap, binding } = native()
  const id = 'argument' in from ? args[from.argument].dataId
    : 'variable' in from ? from.variable.dataId : from.captured
  if (!tensorMap.has(id)) throw new Error(gone(shape))
  const held = tensorMap.get(id)
  if (held.values !== null) held.id = binding.createTensor(held.shape, held.dtype, held.values)
  held.values = null
  return held.id
}

// %% ../nbs/07a_jit.ipynb 43b558b6
/** A recorded function that TensorFlow has loaded. */
export class Graph {
  private session: number
  private names: string
  private outs: string
  constructor(private tape: Tape, private changed: tf.Variable[], results: string[], isXla: (node: Node) => boolean) {
    this.session = load(tape, isXla)
    this.names = tape.feeds.map(f => f.name).join()
    this.outs = results.join()
  }
  run(args: tf.Tensor[]): tf.Tensor[] {
    const backend = native(), ids = this.tape.feeds.map(f => idOf(f, args))
    const made = backend.binding.runSavedModel(this.session, ids, this.names, this.outs)
    this.changed.forEach((v, i) => replace(v, made[i]))
    return made.slice(this.changed.length).map(m => backend.createOutputTensor(m))
  }
  dispose = () => native().binding.deleteSavedModel(this.session)
}

// %% ../nbs/07a_jit.ipynb 658f4a42
const different = /^(Stateless|ResizeBilinear)/, slow = /^(Depthwise)?Conv2d|^Conv2D/
const forXla = ({ op }: Node) => !different.test(op) && (native().isUsingGpuDevice || !slow.test(op))

// %% ../nbs/07a_jit.ipynb 3eb1497e
/** A tensor, or lists and objects of them. */
export type Tensors = tf.Tensor | Tensors[] | { [name: string]: Tensors }

// %% ../nbs/07a_jit.ipynb 422f70aa
type Form = number | { value: unknown } | Form[] | { fields: [string, Form][] }
const isObject = (x: unknown): x is object => typeof x === 'object' && x !== null

function flatten(x: unknown, out: tf.Tensor[]): Form {
  if (x instanceof tf.Tensor && !(x instanceof tf.Variable)) return out.push(x) - 1
  if (Array.isArray(x)) return x.map(y => flatten(y, out))
  if (!isObject(x) || x instanceof tf.Variable) return { value: x }
  return { fields: Object.entries(x).map(([name, y]) => [name, flatten(y, out)]) }
}

function build(form: Form, tensors: tf.Tensor[]): unknown {
  if (typeof form === 'number') return tensors[form]
  if (Array.isArray(form)) return form.map(f => build(f, tensors))
  if ('value' in form) return form.value
  return Object.fromEntries(form.fields.map(([name, f]) => [name, build(f, tensors)]))
}

// %% ../nbs/07a_jit.ipynb d3a4e0bb
const shown = (_: string, x: unknown) => x instanceof tf.Variable ? `variable ${x.id}`
  : typeof x === 'function' ? x.toString() : x === undefined ? 'undefined' : x
function keyOf(form: Form, tensors: tf.Tensor[]): string {
  const types = tensors.map(t => `${t.dtype}[${t.shape}]`).join()
  return Array.isArray(form) && form.every(f => typeof f === 'number') ? types : types + JSON.stringify(form, shown)
}

// %% ../nbs/07a_jit.ipynb 9631ead4
const changes = 'jit: a tensor that the function makes anew differs from one call to the next, like a random number or '
  + 'a count; hand it in, keep it in a tf.Variable, or draw it with JitRandom'
const wanders = 'jit: the function did something else at each of its first calls; it must do the same at every call'
const same = (a: unknown, b: unknown) => inspect(a, { depth: 9, maxArrayLength: Infinity }) === inspect(b, { depth: 9, maxArrayLength: Infinity })
const plan = (t: Tape) => t.nodes.map(n => [n.op, n.inputs, n.op === 'Const' ? 0 : n.attrs])

function isRepeat(a: Tape, b: Tape): boolean {
  if (!same(plan(a), plan(b))) return false
  const constants = (t: Tape) => t.nodes.filter(n => n.op === 'Const').map(n => n.attrs.value.value as Constant)
  const theirs = constants(b)
  const bits = ({ values }: Constant) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)
  if (constants(a).every((c, i) => bits(c).equals(bits(theirs[i])))) return true
  throw new Error(changes)
}

// %% ../nbs/07a_jit.ipynb 93755822
/** `xla`: compile at once (true), never (false), or when it pays; `keep`: how many recordings stay. */
export interface JitOptions { xla?: boolean, keep?: number }
export const msPerNode = 4

// %% ../nbs/07a_jit.ipynb 15f0bf63
function sync<T>(result: T, tape?: Tape): T {
  if (result instanceof Promise) {
    result.catch(() => {})
    throw tape?.error ?? new Error('jit: the function is async; wait before or after it, not inside')
  }
  if (tape?.error) throw tape.error
  return result
}

function tensorsOnly(form: Form): Form {
  const parts = Array.isArray(form) ? form : isObject(form) && 'fields' in form ? form.fields.map(f => f[1]) : []
  parts.forEach(tensorsOnly)
  const plain = isObject(form) && 'value' in form ? form.value : undefined
  if (plain === undefined || plain === null || plain instanceof tf.Variable) return form
  throw new Error(`jit: the function returns ${inspect(plain)}, which would be the same at each call; return tensors`)
}

// %% ../nbs/07a_jit.ipynb 711fa8d0
class Trace {
  stage: 'recording' | 'graph' | 'xla' = 'recording'
  calls = 0
  private tape?: Tape
  private graph?: Graph
  private spent = 0
  private load?: (isXla: boolean) => Graph
  private form: Form = 0
  constructor(private f: (...args: never[]) => unknown, private argForm: Form, private xla?: boolean) {}

  private record(args: tf.Tensor[]): unknown {
    const tape = new Tape()
    const result = tf.tidy(() => {
      const own = args.map((t, i) => tape.argument(t, i))
      const inputs = build(this.argForm, own) as never[]
      return tape.record(() => sync(this.f(...inputs), tape)) as tf.TensorContainer
    })
    const outs: tf.Tensor[] = [], changed = tape.changed()
    this.form = tensorsOnly(flatten(result, outs))
    const results = [...changed, ...outs].map(tape.result)
    this.settle(tape, isXla => new Graph(tape, changed, results, isXla ? forXla : () => false))
    return result
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
      console.warn(`jit: XLA cannot compile ${this.f.name || 'the function'}, it goes on as a graph: ${(error as Error).message}`)
      this.xla = false
      this.start(false)
      return this.timed(args)
    }
  }
  private isDue = () => this.stage !== 'xla' && this.xla !== false
    && (this.xla || this.spent > msPerNode * (this.tape!.nodes.length + 25))
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
export const isPlain = () => !isNative() || Tape.isRunning || tf.engine().state.gradientDepth > 0

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

// %% ../nbs/07a_jit.ipynb 99502dc0
/** `f` compiled: a function of tensors (or lists and objects of them) that may read and assign variables. */
export function jit<A extends unknown[], R>(f: (...args: A) => R, options: JitOptions = {}): Jitted<A, R> {
  const traces = new Traces(f, options)
  const call = (...args: A): R => {
    if (isPlain()) return tf.tidy(() => sync(f(...args)) as tf.TensorContainer) as R
    const tensors: tf.Tensor[] = [], form = flatten(args, tensors)
    const lost = tensors.find(t => t.isDisposed)
    if (lost) throw new Error(`jit: an argument of shape [${lost.shape}] has been disposed`)
    return traces.find(keyOf(form, tensors), form).run(tensors) as R
  }
  return Object.assign(call, { dispose: () => traces.dispose(), [inspect.custom]: () => String(traces) })
}

// %% ../nbs/07a_jit.ipynb d9d58f3e
function stateless(op: string, shape: number[], seed: tf.Tensor): tf.Tensor {
  const backend = native(), { binding } = backend, type = (name: string, value: number) =>
    ({ name, type: binding.TF_ATTR_TYPE, value })
  const attrs = [type('dtype', binding.TF_FLOAT), type('T', binding.TF_INT32), type('Tseed', binding.TF_INT32)]
  return backend.executeSingleOutput(op, attrs, [tf.tensor1d(shape, 'int32'), seed])
}
const seedOf = ([a, b]: ArrayLike<number> & Iterable<number>) => (a + 1) * 65537 + b

// %% ../nbs/07a_jit.ipynb 704b74b8
/** Random numbers that `jit` can record. `state`, a variable [seed, draws], goes into a checkpoint. */
export class JitRandom {
  state: tf.Variable
  constructor(seed: number) { this.state = tf.variable(tf.tensor1d([seed, 0], 'int32'), false) }
  private next<T>(draw: (seed: tf.Tensor) => T): T {
    const o = draw(this.state), [a, b] = isNative() ? [] : this.state.dataSync()
    this.state.assign(isNative() ? tf.add(this.state, tf.tensor1d([0, 1], 'int32')) : tf.tensor1d([a, b + 1], 'int32'))
    return o
  }
  /** Numbers of mean 0 and deviation 1. */
  normal(shape: number[]): tf.Tensor {
    return tf.tidy(() => this.next(seed => isNative() ? stateless('StatelessRandomNormal', shape, seed)
      : tf.randomNormal(shape, 0, 1, 'float32', seedOf(seed.dataSync()))))
  }
  /** Numbers from 0 up to 1. */
  uniform(shape: number[]): tf.Tensor {
    return tf.tidy(() => this.next(seed => isNative() ? stateless('StatelessRandomUniform', shape, seed)
      : tf.randomUniform(shape, 0, 1, 'float32', seedOf(seed.dataSync()))))
  }
}
