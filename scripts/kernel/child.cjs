// @ts-check
// The process in which a notebook's cells run. Cells come in on a pipe (guard.cjs reads it); what
// they print, show and come to goes out on another, written at once, so that nothing is lost when
// the process dies.
const fs = require('fs')
const path = require('path')
const util = require('util')
const vm = require('vm')
const Module = require('module')
const { Worker } = require('worker_threads')
const { Interrupted, interrupt, tools } = require('./interrupt.cjs')
const { createLoader } = require('./loader.cjs')
const { createTrace, describe } = require('./trace.cjs')
const { untangle } = require('./untangle.cjs')
const { live, watch } = require('./variables.cjs')

/** @typedef {import('./compiler.cjs').Cell} Cell */
/** @typedef {import('./loader.cjs').Source} Source */
/** @typedef {{ n: number, source: string, cell: Cell, modules: Record<string, Source> }} Run */

const [IN, OUT] = [3, 4] // file descriptors
const UNWIND = 300 // ms that code gets to end after an interrupt
const PATIENCE = 1000 // ms that it gets to take notice of one
const { setTimeout, setImmediate } = globalThis // a cell may change them
const root = process.argv[2], folder = process.cwd()
const trace = createTrace(root), loader = createLoader(root, tools, trace)
const cellRequire = loader.requireFrom(path.join(root, 'cell.js'))

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
  function write(chunk, encoding, done) {
    const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    if (text) send({ type: 'stream', name, text }) // execSync passes on ''
    const call = typeof encoding === 'function' ? encoding : done
    if (typeof call === 'function') process.nextTick(call)
    return true
  }
  process[name].write = write
}

/** @param {object} content @param {boolean} [update] */
const display = (content, update = false) => send({ type: 'display', content, update })

/** tslab's way to show things, without loading its compiler into this process. */
function provideDisplay() {
  const id = require.resolve('tslab/dist/jupyter')
  const exports = { __esModule: true, lastWriteDisplayData: display }
  require.cache[id] = Object.assign(new Module(id), { loaded: true, exports })
}

/** @param {any} value */
async function show(value) {
  if (value == null) return
  const face = value[Symbol.for('Jupyter.display')]
  const text = () => ({ 'text/plain': typeof value === 'string' ? value : util.inspect(value) })
  send({ type: 'result', data: typeof face === 'function' ? await face.call(value) : text() })
}

/** @param {Cell} cell @param {string} name */
function start(cell, name) {
  const names = 'exports, require, __dirname, __filename, __async__, __live__'
  const code = `(${cell.isAsync ? 'async ' : ''}function (${names}) {\n${cell.code}\n})`
  const f = vm.runInThisContext(code, { filename: name, lineOffset: -1 })
  return f(variables, cellRequire, folder, path.join(folder, name), tools, live)
}

/** @param {typeof current} cell @param {unknown[]} error what it failed with, if it did */
function finish(cell, ...error) {
  if (!cell || cell !== current) return
  current = undefined
  send({ type: 'done', unset: cell.unset(), error: error.length ? describe(error[0]) : undefined })
}

/** @param {Run} o */
async function run({ n, source, cell, modules }) {
  const mine = current = { unset: watch(variables, cell.declared) }
  const name = `cell [${n}]`
  trace.add(name, { maps: cell.maps, source })
  try {
    loader.update(modules)
    await start(cell, name)
    await new Promise(resolve => setImmediate(resolve)) // unhandled rejections are known by then
    if (cell.last && mine === current) await show(variables[cell.last])
    finish(mine)
  } catch (e) {
    finish(mine, e)
  }
  if (cell.last) delete variables[cell.last]
}

/**
 * What nobody caught fails the cell that runs, or else the one that ran last.
 * @param {unknown} e
 */
function uncaught(e) {
  if (e instanceof Interrupted) return
  if (current) finish(current, e)
  else send({ type: 'late', error: describe(e) })
}

const workerData = { fd: IN, patience: PATIENCE }
const guard = new Worker(path.join(__dirname, 'guard.cjs'), { workerData })

/** @type {Record<string, (m: any) => unknown>} */
const handlers = {
  run,
  interrupt() {
    guard.postMessage('alive')
    const cell = current
    interrupt()
    setTimeout(() => finish(cell, new Interrupted()), UNWIND)
  },
  terminated({ frames }) {
    untangle()
    finish(current, trace.throwAt(new Interrupted(), frames))
  },
  end() {
    guard.unref()
    setTimeout(() => process.exit(0), UNWIND).unref()
  },
}
guard.on('message', m => handlers[m.type](m))
process.on('SIGINT', () => {}) // reaches the whole group; the kernel sends its own message
process.on('uncaughtException', uncaught)
process.on('unhandledRejection', uncaught)
capture('stdout')
capture('stderr')
provideDisplay()
