// @ts-check
// The process in which a notebook's cells run. Cells come in on a pipe (guard.cjs reads it); what they print, show and
// come to goes out on another, written at once, so that nothing is lost when the process dies.
const fs = require('fs')
const path = require('path')
const util = require('util')
const vm = require('vm')
const Module = require('module')
const { Worker } = require('worker_threads')
const { Interrupted, interrupt, tools } = require('./interrupt.cjs')
const { createLoader } = require('./loader.cjs')
const { createTrace, describe } = require('./trace.cjs')
const { live, watch } = require('./variables.cjs')

const [IN, OUT] = [3, 4] // file descriptors
const [UNWIND, PATIENCE] = [300, 1000] // ms that code gets to end after an interrupt, and to take notice of it
const { setTimeout, setImmediate } = globalThis
const root = process.argv[2], folder = process.cwd()
const trace = createTrace(root), loader = createLoader(root, tools, trace)
const require_ = loader.requireFrom(path.join(root, 'cell.js'))

/** @type {Record<string, any>} */
const variables = {}
/** @type {{ unset: () => string[] } | undefined} the cell that runs now */
let current

/** @param {object} message */
function send(message) {
  const bytes = Buffer.from(JSON.stringify(message) + '\n')
  for (let i = 0; i < bytes.length;) i += fs.writeSync(OUT, bytes, i)
}

/** @param {'stdout' | 'stderr'} name */
function capture(name) {
  const decoder = new util.TextDecoder()
  /** @param {string | Uint8Array} chunk @param {unknown} [encoding] @param {unknown} [done] */
  process[name].write = (chunk, encoding, done) => {
    send({ type: 'stream', name, text: typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true }) })
    const call = typeof encoding === 'function' ? encoding : done
    if (typeof call === 'function') process.nextTick(call)
    return true
  }
}

/** tslab's way to show things, for whoever asks for it, without loading its compiler into this process. */
function provideDisplay() {
  const id = require.resolve('tslab/dist/jupyter')
  const display = (/** @type {object} */ content, update = false) => send({ type: 'display', content, update })
  const exports = { __esModule: true, lastWriteDisplayData: display }
  require.cache[id] = Object.assign(new Module(id), { loaded: true, exports })
}

/** @param {any} value */
async function show(value) {
  const face = value?.[Symbol.for('Jupyter.display')]
  const text = () => ({ 'text/plain': typeof value === 'string' ? value : util.inspect(value) })
  if (value != null) send({ type: 'result', data: typeof face === 'function' ? await face.call(value) : text() })
}

/** @param {import('./compiler.cjs').Cell} cell @param {string} name */
function start(cell, name) {
  const names = 'exports, require, __dirname, __filename, __async__, __live__'
  const code = `(${cell.isAsync ? 'async ' : ''}function (${names}) {\n${cell.code}\n})`
  const f = vm.runInThisContext(code, { filename: name, lineOffset: -1 })
  return f(variables, require_, folder, path.join(folder, name), tools, live)
}

/** @param {typeof current} cell @param {unknown[]} error what it failed with, if it did */
function finish(cell, ...error) {
  if (!cell || cell !== current) return
  current = undefined
  send({ type: 'done', unset: cell.unset(), error: error.length ? describe(error[0]) : undefined })
}

/** @param {{ n: number, source: string, cell: import('./compiler.cjs').Cell, modules: Record<string, any> }} m */
async function run({ n, source, cell, modules }) {
  const mine = current = { unset: watch(variables, cell.declared) }
  const name = `cell [${n}]`
  trace.add(name, { maps: cell.maps, source })
  try {
    loader.update(modules)
    await start(cell, name)
    await new Promise(resolve => setImmediate(resolve)) // a rejection that nobody handles is known by then
    if (cell.last && mine === current) await show(variables[cell.last])
    finish(mine)
  } catch (e) {
    finish(mine, e)
  }
  if (cell.last) delete variables[cell.last]
}

/** What nobody caught fails the cell that runs, or else the one that ran last. @param {unknown} e */
function uncaught(e) {
  if (e instanceof Interrupted) return
  if (current) finish(current, e)
  else send({ type: 'late', error: describe(e) })
}

const guard = new Worker(path.join(__dirname, 'guard.cjs'), { workerData: { fd: IN, patience: PATIENCE } })

const handlers = {
  run,
  interrupt() {
    guard.postMessage('alive')
    const cell = current
    interrupt()
    setTimeout(() => finish(cell, new Interrupted()), UNWIND)
  },
  /** @param {{ frames: import('./trace.cjs').Frame[] }} m */
  terminated: ({ frames }) => finish(current, trace.throwAt(new Interrupted(), frames)),
  end() {
    guard.unref()
    setTimeout(() => process.exit(0), UNWIND).unref()
  },
}
guard.on('message', m => handlers[/** @type {keyof typeof handlers} */ (m.type)](m))
process.on('SIGINT', () => {}) // comes to the whole group; the kernel sends its own message
process.on('uncaughtException', uncaught)
process.on('unhandledRejection', uncaught)
capture('stdout')
capture('stderr')
provideDisplay()
