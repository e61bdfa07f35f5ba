// @ts-check
// The repository's own modules, as JavaScript: translated once for each state of their file.
const fs = require('fs')
const path = require('path')
const { imports, transpileModule } = require('./transpile.cjs')
const { stamp } = require('./watch.cjs')

/** @typedef {ReturnType<typeof transpileModule> & { seen: string | undefined }} Module */

/**
 * `modules(source, sent)` gives what is new of those that a cell needs or its process has.
 * @param {string} root
 */
function createModules(root) {
  /** @type {Map<string, Module>} */
  const known = new Map()

  /** @param {string} file */
  function read(file) {
    const before = known.get(file), seen = stamp(file)
    if (before && (!seen || before.seen === seen)) return before
    const now = { ...transpileModule(fs.readFileSync(file, 'utf8')), seen }
    known.set(file, now)
    return now
  }

  /** @param {string} id @param {string} from */
  function find(id, from) {
    const file = path.resolve(id.startsWith('.') ? from : root, id) + '.ts'
    return fs.existsSync(file) ? file : ''
  }

  /**
   * Adds `file` and all that it needs to `found`.
   * @param {string} file @param {Set<string>} found
   */
  function visit(file, found) {
    if (found.has(file)) return
    found.add(file)
    for (const f of findAll(read(file).imports, path.dirname(file))) visit(f, found)
  }

  /** @param {string[]} ids @param {string} from */
  const findAll = (ids, from) => ids.map(id => find(id, from)).filter(Boolean)

  /**
   * @param {string} source a cell's TypeScript
   * @param {Map<string, Module>} sent what its process has; brought up to date
   */
  return (source, sent) => {
    const found = new Set()
    for (const file of [...findAll(imports(source), root), ...sent.keys()]) visit(file, found)
    const news = [...found].filter(file => sent.get(file) !== read(file))
    for (const file of news) sent.set(file, read(file))
    return Object.fromEntries(news.map(file => [file, read(file)]))
  }
}

module.exports = { createModules }
