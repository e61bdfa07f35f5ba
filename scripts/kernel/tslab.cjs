// @ts-check
// tslab's own compiler of cells, unmodified, with the options that this course needs.
const { createRequire } = require('module')
const { ts, transpile } = require('./transpile.cjs')
const { createWatch } = require('./watch.cjs')

/** The two maps of the cell compiled last: CommonJS to ES module, ES module to TypeScript. */
let maps = /** @type {string[]} */ ([])

const INLINE_MAP = /\/\/# sourceMappingURL=data:application\/json;base64,(.*)\s*$/

/** @param {string} text @param {import('typescript').TranspileOptions} options */
function transpileModule(text, options) {
  const out = transpile(text.replace(INLINE_MAP, ''), options)
  const inline = Buffer.from(INLINE_MAP.exec(text)?.[1] ?? '', 'base64').toString()
  maps = [String(out.sourceMapText), inline]
  return out
}

/**
 * TypeScript asks for two timers. Only the program's update matters, and tslab keeps one: the other's work, to forget
 * failed imports, is done by the next update anyway.
 * @param {any} sys
 */
function onlyProgramTimer(sys) {
  const { setTimeout, clearTimeout } = sys
  const other = {}
  sys.setTimeout = (/** @type {() => void} */ call) => call.name === 'updateProgramWithWatchStatus' ? setTimeout(call) : other
  sys.clearTimeout = (/** @type {unknown} */ timer) => { if (timer !== other) clearTimeout(timer) }
}

/**
 * tslab's converter with `root` as the place of modules and types, and `poll` to look for changed files.
 * @param {string} root
 */
function createConverter(root) {
  const watch = createWatch(root)
  /** @type {any} */
  const sys = ts.sys
  Object.assign(sys, watch, { getCurrentDirectory: () => root })
  const createWatchCompilerHost = (/** @type {any[]} */ files, /** @type {any} */ options, /** @type {any} */ sys, /** @type {any[]} */ ...rest) => {
    onlyProgramTimer(sys)
    const ours = { baseUrl: root, types: ['node'], inlineSourceMap: true }
    return /** @type {any} */ (ts).createWatchCompilerHost(files, { ...options, ...ours }, sys, ...rest)
  }
  const id = createRequire(require.resolve('tslab/package.json')).resolve('@tslab/typescript-for-tslab')
  Object.assign(/** @type {any} */ (require.cache[id]), { exports: { ...ts, createWatchCompilerHost, transpileModule } })
  const { createConverter, isCompleteCode } = require('tslab/dist/converter')
  const { printQuickInfo } = require('tslab/dist/inspect')
  return { ...createConverter(), isCompleteCode, printQuickInfo, poll: watch.poll, lastMaps: () => maps }
}

module.exports = { createConverter }
