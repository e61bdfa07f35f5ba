// @ts-check
// Loads the repository's modules from the text that the compiler sent, and loads a changed one
// again into the same `exports`, with those that depend on it: whoever holds the module sees the
// new one. Where that fails, the old one stays for its holders, and who imports it gets the error.
const path = require('path')
const vm = require('vm')
const { createRequire } = require('module')

/** @typedef {{ code: string, maps: string[] }} Source */
/** @typedef {{ exports: any, users: Set<string>, fresh: boolean, error?: unknown }} Loaded */

const HEAD = '(function (exports, require, module, __filename, __dirname, __async__, __live__) {\n'

/** @param {any} exports @param {string} name @param {() => unknown} get */
function live(exports, name, get) {
  Object.defineProperty(exports, name, { get, enumerable: true, configurable: true })
}

/** @param {object} o */
function empty(o) {
  for (const key of Reflect.ownKeys(o)) Reflect.deleteProperty(o, key)
}

/**
 * @param {string} root
 * @param {object} tools what `__async__` is in a module
 * @param {{ add: (file: string, script: Source) => void }} trace
 */
function createLoader(root, tools, trace) {
  /** @type {Map<string, Source>} */
  const sources = new Map()
  /** @type {Map<string, Loaded>} */
  const loaded = new Map()

  /** @param {string} file */
  function evaluate(file) {
    const m = /** @type {Loaded} */ (loaded.get(file))
    const before = Object.getOwnPropertyDescriptors(m.exports)
    m.fresh = true
    m.error = undefined
    empty(m.exports)
    const code = HEAD + sources.get(file)?.code + '\n})'
    try {
      vm.runInThisContext(code, { filename: file, lineOffset: -1 })(
        m.exports, requireFrom(file), m, file, path.dirname(file), tools, live)
    } catch (e) {
      m.error = e
      empty(m.exports)
      Object.defineProperties(m.exports, before)
    }
  }

  /** @param {string} file @param {string} user */
  function load(file, user) {
    if (!loaded.has(file)) loaded.set(file, { exports: {}, users: new Set(), fresh: false })
    const m = /** @type {Loaded} */ (loaded.get(file))
    m.users.add(user)
    if (!m.fresh || m.error) evaluate(file)
    if (m.error) throw m.error
    return m.exports
  }

  /** `require` for the code in `file`. @param {string} file */
  function requireFrom(file) {
    const plain = createRequire(file)
    /** @param {string} id */
    function require_(id) {
      const found = path.resolve(id.startsWith('.') ? path.dirname(file) : root, id) + '.ts'
      return sources.has(found) ? load(found, file) : plain(id)
    }
    return Object.assign(require_, plain)
  }

  /** @param {string} file */
  function outdate(file) {
    const m = loaded.get(file)
    if (!m?.fresh) return
    m.fresh = false
    m.users.forEach(outdate)
  }

  /** @param {Record<string, Source>} news */
  function update(news) {
    for (const [file, source] of Object.entries(news)) {
      sources.set(file, source)
      trace.add(file, source)
      outdate(file)
    }
    for (const [file, m] of loaded) {
      if (!m.fresh) evaluate(file)
    }
  }
  return { update, requireFrom }
}

module.exports = { createLoader }
