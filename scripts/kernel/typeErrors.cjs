// @ts-check
// What TypeScript found wrong in a cell, in the form of a Jupyter error.

/** @typedef {import('tslab/dist/converter').Diagnostic} Diagnostic */

/** @param {Diagnostic} d @param {string[]} lines @param {number} n */
function report(d, lines, n) {
  const { line, character } = d.start, text = `${line + 1}:${character + 1} - ${d.messageText} (TS${d.code})`.split('\n')
  if (d.fileName) return [`${d.fileName}:${text[0]}`, ...text.slice(1)]
  const source = lines[line] ?? ''
  const end = d.end.line === line ? d.end.character : source.length
  const mark = ' '.repeat(character) + '~'.repeat(Math.max(1, end - character))
  return [`cell [${n}] line ${text[0]}`, ...text.slice(1), `    ${source}`, `    ${mark}`]
}

/** tslab exports each name: TypeScript then says again what is wrong with its type. @param {Diagnostic[]} ds */
const distinct = ds => ds.filter((d, i) => !(/^4\d{3}$/.test(String(d.code)) && d.start.offset === ds[i - 1]?.start.offset))

/**
 * @param {Diagnostic[]} ds @param {string} source @param {number} n
 * @returns {import('./compiler.cjs').CellError}
 */
function typeErrors(ds, source, n) {
  const [first] = ds
  const ename = first.code < 2000 ? 'SyntaxError' : 'TypeError'
  const evalue = first.messageText.split('\n')[0], lines = source.split('\n')
  const line = first.fileName ? undefined : first.start.line + 1
  return { ename, evalue, traceback: [`${ename}: ${evalue}`, ...distinct(ds).flatMap(d => report(d, lines, n))], line }
}

module.exports = { typeErrors }
