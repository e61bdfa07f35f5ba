// @ts-check
// The repository's own modules, as JavaScript: translated once for each state of their file.
const fs = require('fs')
const path = require('path')
const { imports, transpileModule } = require('./transpile.cjs')
const { stamp } = require('./watch.cjs')

/** @typedef {{ code: string, maps: string[], imports: string[], seen: string | undefined }} Module */

/**
 * `modules(source, sent)` gives those that a cell needs and those known to its process, as far as they are news.
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

  /** @param {string[]} ids @param {string} from @param {Set<string>} found */
  function closure(ids, from, found) {
    for (const file of ids.map(id => find(id, from))) {
      if (!file || found.has(file)) continue
      found.add(file)
      closure(read(file).imports, path.dirname(file), found)
    }
    return found
  }

  /**
   * @param {string} source a cell's TypeScript
   * @param {Map<string, Module>} sent what its process has already; brought up to date
   */
  return (source, sent) => {
    /** @type {Record<string, Module>} */
    const news = {}
    for (const file of closure(imports(source), root, new Set(sent.keys()))) {
      const m = read(file)
      if (sent.get(file) !== m) news[file] = m
      sent.set(file, m)
    }
    return news
  }
}

module.exports = { createModules }
