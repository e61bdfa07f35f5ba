// @ts-check
// Compiles cells: TypeScript in, JavaScript or errors with their places out. It keeps no state of
// a notebook: what earlier cells declared comes in as text and goes out as text, so that many
// notebooks can share it.
const { createConverter } = require('./tslab.cjs')
const { createModules } = require('./modules.cjs')
const { keep } = require('./declarations.cjs')
const { parseErrors, typeErrors } = require('./typeErrors.cjs')

/**
 * @typedef {object} Cell what a process needs to run a cell
 * @property {string} code
 * @property {string[]} maps source maps, last step first
 * @property {boolean} isAsync
 * @property {string[]} declared names the cell sets when it runs
 * @property {string} [last] name of the last expression's value
 */
/** @typedef {{ ename: string, evalue: string, traceback: string[], line?: number }} CellError */
/** @typedef {ReturnType<typeof createCompiler>} Compiler */

// TypeScript's first statement empties all exported names; here a name keeps its old value until
// it has a new one.
const EMPTIED = /^(exports\.\S+ = )+void 0;$/m
const ASYNC = /\bfor\s+await\b/

/** @param {string} code */
function split(code) {
  const emptied = EMPTIED.exec(code)?.[0] ?? ''
  const imported = [...code.matchAll(/^__live__\(exports, "(.+?)"/gm)].map(m => m[1])
  const names = [...emptied.matchAll(/exports\.(\S+) =/g)].map(m => m[1])
  return { code: code.replace(EMPTIED, ''), declared: [...new Set([...names, ...imported])] }
}

/**
 * Where the name ends that is called around `at`: in `f(g(1), |` that of f.
 * @param {string} source @param {number} at
 */
function callee(source, at) {
  for (let i = at - 1, depth = 0; i > 0; i--) {
    if (source[i] === ')') depth++
    else if (source[i] === '(' && depth-- === 0) return i - 1
  }
  return -1
}

/**
 * Inside the path of an import TypeScript gives all names of the folder, and no place: what is
 * typed since the last slash, or of a package's whole name, is what they take the place of.
 * @param {{ start: number, end: number, candidates: string[] }} found @param {string} typed
 */
function inPath(found, typed) {
  const [, path] = /(?:from|import|require\()\s*['"]([^'"\n]*)$/.exec(typed) ?? []
  if (path === undefined) return found
  const isWhole = found.candidates.some(o => path && o.startsWith(path))
  const last = isWhole ? path : path.slice(path.lastIndexOf('/') + 1)
  const candidates = found.candidates.filter(o => o.startsWith(last) && !/^[._]|\.json$/.test(o))
  return { start: typed.length - last.length, end: typed.length, candidates }
}

/**
 * @param {string} root the repository
 * @param {string[]} [kept] files whose types notebooks share that are compiled by turns
 */
function createCompiler(root, kept = []) {
  const tslab = createConverter(root, kept)

  /** @param {string} before @param {string} source */
  function convert(before, source) {
    try { return tslab.convert(before, source) } catch (e) {
      const diagnostics = parseErrors(source)
      if (!diagnostics.length) throw e
      return { diagnostics, output: '', declOutput: '' }
    }
  }

  /**
   * @param {string} before declarations of earlier cells
   * @param {string} source
   * @param {number} n the cell's number
   * @returns {{ cell: Cell, declarations: string, error?: undefined } | { error: CellError }}
   */
  function compile(before, source, n) {
    tslab.poll()
    const r = /** @type {ReturnType<typeof tslab.convert>} */ (convert(before, source))
    if (r.diagnostics.length) return { error: typeErrors(r.diagnostics, source, n) }
    const { code, declared } = split(r.output ?? '')
    const isAsync = Boolean(r.hasToplevelAwait) || ASYNC.test(code)
    const cell = { code, declared, isAsync, maps: tslab.lastMaps(), last: r.lastExpressionVar }
    return { cell, declarations: r.declOutput ?? '' }
  }

  /** @param {string} before @param {string} source @param {number} at */
  function inspect(before, source, at) {
    tslab.poll()
    const places = [at, callee(source, at)].filter(i => i >= 0)
    const info = places.map(i => tslab.inspect(before, source, i)).find(Boolean)
    return info ? tslab.printQuickInfo(info) : ''
  }

  /** @param {string} before @param {string} source @param {number} at */
  function complete(before, source, at) {
    tslab.poll()
    return inPath(tslab.complete(before, source, at), source.slice(0, at))
  }

  /**
   * Declarations after a cell that failed before it set the names in `unset`: those keep their
   * earlier meaning.
   * @param {string} before @param {string} after @param {string[]} unset
   */
  function merge(before, after, unset) {
    const isUnset = (/** @type {string} */ name) => unset.includes(name)
    return unset.length ? keep(after, name => !isUnset(name)) + keep(before, isUnset) : after
  }

  const { isCompleteCode: isComplete, close } = tslab
  return { compile, inspect, complete, merge, isComplete, close, modules: createModules(root) }
}

module.exports = { createCompiler }
