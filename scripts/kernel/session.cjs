// @ts-check
// One notebook's life: cells are compiled here and run in a process of their own; what they
// declared is kept for the next. The kernel has one session, the tests have one for each
// notebook, around the same compiler.
const { startProcess } = require('./process.cjs')

/** @typedef {import('./compiler.cjs').CellError} CellError */
/** @typedef {import('./process.cjs').Message} Message */
/** @typedef {{ error?: CellError, unset: string[] }} Done */
/** @typedef {ReturnType<typeof createSession>} Session */

/** @param {string} reason @returns {CellError} */
function died(reason) {
  const advice = 'Its variables are gone: run the cells again from the top.'
  const evalue = `the process of this notebook ended: ${reason}. ${advice}`
  return { ename: 'KernelDied', evalue, traceback: [`KernelDied: ${evalue}`] }
}

/**
 * An error with the line of cell `n` that its trace names, if any.
 * @param {CellError | undefined} error @param {number} n
 */
function withLine(error, n) {
  const place = error?.traceback.join('\n').match(new RegExp(`cell \\[${n}\\] line (\\d+)`))
  return error && place ? { ...error, line: Number(place[1]) } : error
}

/**
 * @param {object} o
 * @param {import('./compiler.cjs').Compiler} o.compiler
 * @param {string} o.root the repository
 * @param {string} o.cwd the notebook's folder
 * @param {(m: Message) => void} o.onOutput gets `stream`, `display`, `result`, and `late`: an
 *   error after the end of the last cell
 */
function createSession({ compiler, root, cwd, onOutput }) {
  let declarations = '', isEnded = false
  /** @type {Map<string, any>} modules that the process has */
  let sent = new Map()
  /** @type {((done: Done) => void) | undefined} */
  let resolve
  let child = start()

  /** @param {Message} m */
  function receive(m) {
    if (m.type === 'done') resolve?.({ error: m.error, unset: m.unset })
    else onOutput(m)
  }

  function start() {
    const onEnd = (/** @type {string} */ reason) => { if (me === child) restart(reason) }
    const me = startProcess({ root, cwd, onMessage: receive, onEnd })
    return me
  }

  /** @param {string} reason */
  function restart(reason) {
    if (isEnded) return
    const error = died(reason)
    declarations = ''
    sent = new Map()
    child = start()
    if (resolve) resolve({ error, unset: [] })
    else onOutput({ type: 'late', error })
  }

  /**
   * Compile and run a cell.
   * @param {string} source
   * @param {number} n its number
   * @returns {Promise<CellError | undefined>} its error
   */
  async function run(source, n) {
    const before = declarations, compiled = compiler.compile(before, source, n)
    if (compiled.error) return compiled.error
    const done = /** @type {Promise<Done>} */ (new Promise(r => { resolve = r }))
    const modules = compiler.modules(source, sent)
    child.send({ type: 'run', n, source, cell: compiled.cell, modules })
    const { error, unset } = await done
    resolve = undefined
    const isDead = error?.ename === 'KernelDied'
    if (!isDead) declarations = compiler.merge(before, compiled.declarations, unset)
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
      isEnded = true
      child.send({ type: 'end' })
      return child.gone
    },
    kill() {
      isEnded = true
      child.kill()
    },
  }
}

module.exports = { createSession }
