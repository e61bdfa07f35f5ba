// @ts-check
// One notebook's life: cells are compiled here and run in a process of their own; what they declared is kept for the
// next. The kernel has one session, the tests have one for each notebook, around the same compiler.
const { startProcess } = require('./process.cjs')

/** @typedef {import('./compiler.cjs').CellError} CellError */
/** @typedef {import('./process.cjs').Message} Message */
/** @typedef {{ error?: CellError, unset: string[] }} Done */
/** @typedef {ReturnType<typeof createSession>} Session */

/** @param {string} reason @returns {CellError} */
function died(reason) {
  const evalue = `the process of this notebook ended: ${reason}. Its variables are gone: run the cells again from the top.`
  return { ename: 'KernelDied', evalue, traceback: [`KernelDied: ${evalue}`] }
}

/** The cell's line that an error's trace names, if any. @param {CellError | undefined} error @param {number} n */
function withLine(error, n) {
  const place = error?.traceback.join('\n').match(new RegExp(`cell \\[${n}\\] line (\\d+)`))
  return error && place ? { ...error, line: Number(place[1]) } : error
}

/**
 * @param {object} o
 * @param {import('./compiler.cjs').Compiler} o.compiler
 * @param {string} o.root the repository
 * @param {string} o.cwd the notebook's folder
 * @param {(m: Message) => void} o.onOutput gets `stream`, `display`, `result` and `late` (an error after the cell's end)
 */
function createSession({ compiler, root, cwd, onOutput }) {
  let declarations = ''
  let ended = false
  /** @type {Map<string, any>} modules that the process has */
  let sent = new Map()
  /** @type {((done: Done) => void) | undefined} */
  let resolve
  let child = start()

  /** @param {Message} m */
  function receive(m) {
    if (m.type !== 'done') return onOutput(m)
    resolve?.(/** @type {Done} */ (/** @type {unknown} */ (m)))
  }

  function start() {
    /** @type {ReturnType<typeof startProcess>} */
    const me = startProcess({ root, cwd, onMessage: receive, onEnd: reason => { if (me === child) restart(reason) } })
    return me
  }

  /** @param {string} reason */
  function restart(reason) {
    if (ended) return
    const error = died(reason)
    declarations = ''
    sent = new Map()
    child = start()
    resolve ? resolve({ error, unset: [] }) : onOutput({ type: 'late', error })
  }

  /**
   * Compile and run a cell.
   * @param {string} source
   * @param {number} n its number
   * @returns {Promise<CellError | undefined>} its error
   */
  async function run(source, n) {
    const compiled = compiler.compile(declarations, source, n)
    if (compiled.error) return compiled.error
    const before = declarations
    const done = /** @type {Promise<Done>} */ (new Promise(r => { resolve = r }))
    child.send({ type: 'run', n, source, cell: compiled.cell, modules: compiler.modules(source, sent) })
    const { error, unset } = await done
    resolve = undefined
    if (error?.ename !== 'KernelDied') {
      declarations = unset.length ? compiler.failed(before, compiled.declarations, unset) : compiled.declarations
    }
    return withLine(error, n)
  }

  return {
    run,
    interrupt: () => child.send({ type: 'interrupt' }),
    /** @param {string} source @param {number} at */
    inspect: (source, at) => compiler.inspect(declarations, source, at),
    /** @param {string} source @param {number} at */
    complete: (source, at) => compiler.complete(declarations, source, at),
    /** Let what is left of the cells' work end, shortly; resolves when the process is gone. */
    end() {
      ended = true
      child.send({ type: 'end' })
      return child.gone
    },
    kill: () => { ended = true; child.kill() },
  }
}

module.exports = { createSession }
