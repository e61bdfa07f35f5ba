// @ts-check
// What TypeScript found wrong in a cell, in the form of a Jupyter error.

/** @typedef {import('tslab/dist/converter').Diagnostic} Diagnostic */

/** @param {Diagnostic} d @param {string[]} lines @param {number} n */
function report(d, lines, n) {
  const { line, character } = d.start
  if (d.fileName) return [`${d.fileName}:${line + 1}:${character + 1} - ${d.messageText} (TS${d.code})`]
  const source = lines[line] ?? ''
  const end = d.end.line === line ? d.end.character : source.length
  const mark = ' '.repeat(character) + '~'.repeat(Math.max(1, end - character))
  return [`cell [${n}] line ${line + 1}:${character + 1} - ${d.messageText} (TS${d.code})`, `    ${source}`, `    ${mark}`]
}

/**
 * A message's explanations follow it, at the same place: they are indented under it.
 * @param {Diagnostic[]} ds @param {string} source @param {number} n
 */
function traceback(ds, source, n) {
  const lines = source.split('\n')
  return ds.flatMap((d, i) => {
    const before = ds[i - 1]
    const explains = before && before.start.offset === d.start.offset && before.end.offset === d.end.offset
    return explains ? [`    ${d.messageText}`] : report(d, lines, n)
  })
}

/**
 * @param {Diagnostic[]} ds @param {string} source @param {number} n
 * @returns {import('./compiler.cjs').CellError}
 */
function typeErrors(ds, source, n) {
  const [first] = ds
  const ename = first.code < 2000 ? 'SyntaxError' : 'TypeError'
  const line = first.fileName ? undefined : first.start.line + 1
  return { ename, evalue: first.messageText, traceback: [`${ename}: ${first.messageText}`, ...traceback(ds, source, n)], line }
}

module.exports = { typeErrors }
