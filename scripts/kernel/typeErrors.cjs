// @ts-check
// What TypeScript found wrong in a cell, in the form of a Jupyter error.

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

/**
 * tslab exports each name of a cell: TypeScript then says again (4000 to 4999) what is wrong
 * with its type.
 * @param {Diagnostic[]} ds
 */
function distinct(ds) {
  const isAgain = (/** @type {Diagnostic} */ d) => d.code >= 4000 && d.code < 5000
  return ds.filter((d, i) => !isAgain(d) || d.start.offset !== ds[i - 1]?.start.offset)
}

/**
 * @param {Diagnostic[]} ds @param {string} source @param {number} n
 * @returns {import('./compiler.cjs').CellError}
 */
function typeErrors(ds, source, n) {
  const [first] = ds, lines = source.split('\n')
  const ename = first.code < 2000 ? 'SyntaxError' : 'TypeError'
  const evalue = first.messageText.split('\n')[0]
  const line = first.fileName ? undefined : first.start.line + 1
  const traceback = [`${ename}: ${evalue}`, ...distinct(ds).flatMap(d => report(d, lines, n))]
  return { ename, evalue, traceback, line }
}

module.exports = { typeErrors }
