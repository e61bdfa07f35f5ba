// @ts-check
// What TypeScript found wrong in a cell, in the form of a Jupyter error.
const { ts } = require('./transpile.cjs')

/** @typedef {import('tslab/dist/converter').Diagnostic} Diagnostic */

/** @param {Diagnostic} d @param {string[]} lines @param {number} n */
function report({ start, end, messageText, code, fileName }, lines, n) {
  const { line, character } = start
  const [first, ...rest] = `${line + 1}:${character + 1} - ${messageText} (TS${code})`.split('\n')
  if (fileName) return [`${fileName}:${first}`, ...rest]
  const source = lines[line] ?? ''
  const width = (end.line === line ? end.character : source.length) - character
  const mark = ' '.repeat(character) + '~'.repeat(Math.max(1, width))
  return [`cell [${n}] line ${first}`, ...rest, `    ${source}`, `    ${mark}`]
}

const EXPORTED_TWICE = 2323, NO_MODULE = 2307
const ADVICE = 'a cell needs no "export": "//| export" in its first line puts it into the module'

/** @param {Diagnostic} d what we say of it, where TypeScript's words do not help */
function advised(d) {
  const [module] = d.code === NO_MODULE ? /'miniai\/[^']*'/.exec(d.messageText) ?? [] : []
  const missing = `Cannot find module ${module}; its notebook makes it, with "npm run export"`
  if (module) return { ...d, messageText: missing }
  return d.code === EXPORTED_TWICE ? { ...d, messageText: ADVICE } : d
}

/**
 * tslab adds a line that exports each name of a cell. What TypeScript finds there is not the
 * learner's fault, nor that it says again (4000 to 4999) what is wrong with a name's type.
 * @param {Diagnostic[]} ds @param {string[]} lines
 */
function theirs(ds, lines) {
  const isAgain = (/** @type {Diagnostic} */ d) => d.code >= 4000 && d.code < 5000
  const own = ds.filter(d => d.fileName || d.start.line < lines.length)
  return (own.length ? own : ds)
    .filter((d, i, all) => !isAgain(d) || d.start.offset !== all[i - 1]?.start.offset)
    .map(advised)
}

/**
 * @param {Diagnostic[]} ds @param {string} source @param {number} n
 * @returns {import('./compiler.cjs').CellError}
 */
function typeErrors(ds, source, n) {
  const lines = source.split('\n'), parsed = parseErrors(source)
  const all = parsed.length ? parsed : theirs(ds, lines), [first] = all
  const ename = parsed.length || first.code < 2000 ? 'SyntaxError' : 'TypeError'
  const evalue = first.messageText.split('\n')[0]
  const line = first.fileName ? undefined : first.start.line + 1
  const traceback = [`${ename}: ${evalue}`, ...all.flatMap(d => report(d, lines, n))]
  return { ename, evalue, traceback, line }
}

/**
 * What the parser alone says. Over some broken cells TypeScript's checker gives up with an error of
 * its own; over others it complains of names that a parser took for what they are not.
 * @param {string} source
 * @returns {Diagnostic[]}
 */
function parseErrors(source) {
  const tree = ts.createSourceFile('cell.ts', source, ts.ScriptTarget.ES2022)
  const place = (/** @type {number} */ offset) =>
    ({ offset, ...tree.getLineAndCharacterOfPosition(offset) })
  const found = /** @type {any} */ (tree).parseDiagnostics
  return found.map((/** @type {any} */ d) => {
    const messageText = ts.flattenDiagnosticMessageText(d.messageText, '\n')
    const [start, end] = [d.start, d.start + d.length].map(place)
    return { ...d, start, end, messageText, fileName: undefined }
  })
}

module.exports = { parseErrors, typeErrors }
