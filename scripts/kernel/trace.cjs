// @ts-check
// Stack traces that name what the learner wrote: `cell [3] line 2`, `miniai/matmul.ts:41:5`.
const path = require('path')
const util = require('util')
const { SourceMap } = require('module')

/** @typedef {{ maps: string[], source?: string, decoded?: SourceMap[] }} Script */
/** @typedef {{ name: string, file: string, line: number, column: number }} Frame */

/** @param {Script} script @param {number} line @param {number} column both from 1 */
function original(script, line, column) {
  script.decoded ??= script.maps.map(m => new SourceMap(JSON.parse(m)))
  let at = { line: line - 1, column: column - 1 }
  for (const map of script.decoded) {
    const e = map.findEntry(at.line, at.column)
    if ('originalLine' in e) at = { line: e.originalLine, column: e.originalColumn }
  }
  return { line: at.line + 1, column: at.column + 1 }
}

/** @param {string} text */
const short = text => text.length > 80 ? text.slice(0, 79) + '…' : text

/** @param {NodeJS.CallSite} site */
const isPackage = site => (site.getFileName() ?? '').includes(`${path.sep}node_modules${path.sep}`)

/**
 * Of calls within packages only the one that came from outside; all, where none did.
 * @param {NodeJS.CallSite[]} sites
 */
function withoutInsides(sites) {
  if (sites.every(isPackage)) return sites.slice(0, 10)
  const isLast = (/** @type {number} */ i) => i + 1 < sites.length && !isPackage(sites[i + 1])
  return sites.filter((site, i) => !isPackage(site) || isLast(i))
}

/** @param {string} root */
function createTrace(root) {
  /** @type {Map<string, Script>} */
  const scripts = new Map()

  /** @param {Script} script @param {string} file @param {number} line @param {number} column */
  function place(script, file, line, column) {
    const at = original(script, line, column)
    if (script.source === undefined) return `${path.relative(root, file)}:${at.line}:${at.column}`
    const n = at.line - 1 // tslab puts one line before a cell
    return `${file} line ${n}: ${short(script.source.split('\n')[n - 1]?.trim() ?? '')}`
  }

  /** @param {NodeJS.CallSite} site */
  function frame(site) {
    const file = site.getFileName() ?? '', script = scripts.get(file)
    const text = String(site).replace(/^(async )?Object\./, '$1')
    if (!script) return text.replace(root + path.sep, '')
    const line = site.getLineNumber() ?? 1, column = site.getColumnNumber() ?? 1
    return text.replace(`${file}:${line}:${column}`, () => place(script, file, line, column))
  }

  /** @param {NodeJS.CallSite} site */
  function isTheirs(site) {
    const file = site.getFileName() ?? ''
    return !file.startsWith(__dirname) && !file.startsWith('node:')
  }

  Error.stackTraceLimit = 60 // tfjs puts ten calls of its own above the learner's line
  Error.prepareStackTrace = (error, sites) => {
    const frames = withoutInsides(sites.filter(isTheirs)).map(site => `    at ${frame(site)}`)
    return [String(error), ...frames.filter((f, i) => f !== frames[i - 1])].join('\n')
  }

  /**
   * `error` as if thrown where a debugger found the frames.
   * @param {Error} error @param {Frame[]} frames
   */
  function throwAt(error, frames) {
    const places = frames.flatMap(({ name, file, line, column }) => {
      const script = scripts.get(file), at = script && place(script, file, line, column)
      return at ? [`    at ${name ? `${name} (${at})` : at}`] : []
    })
    error.stack = [String(error), ...places].join('\n')
    return error
  }

  /** @param {string} file @param {Script} script */
  const add = (file, script) => { scripts.set(file, script) }
  return { add, throwAt }
}

/**
 * Anything thrown, in the form of a Jupyter error.
 * @param {unknown} e
 */
function describe(e) {
  if (!(e instanceof Error)) {
    const text = util.inspect(e)
    return { ename: 'Uncaught', evalue: text, traceback: [`Uncaught ${text}`] }
  }
  const text = e.stack === String(e) ? e.stack : util.inspect(e) // [in brackets] without a stack
  return { ename: e.name, evalue: e.message, traceback: text.split('\n') }
}

module.exports = { createTrace, describe }
