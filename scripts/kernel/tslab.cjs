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

/** tslab loses the file of a message's explanations: they go with the message. @param {unknown[]} args */
function getPreEmitDiagnosticsOfFiles(...args) {
  /** @type {import('typescript').Diagnostic[]} */
  const ds = /** @type {any} */ (ts).getPreEmitDiagnosticsOfFiles(...args)
  return ds.map(d => ({ ...d, messageText: ts.flattenDiagnosticMessageText(d.messageText, '\n') }))
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
    const better = { ...options, baseUrl: root, types: ['node'], inlineSourceMap: true }
    return /** @type {any} */ (ts).createWatchCompilerHost(files, better, sys, ...rest)
  }
  const id = createRequire(require.resolve('tslab/package.json')).resolve('@tslab/typescript-for-tslab')
  const ours = { createWatchCompilerHost, transpileModule, getPreEmitDiagnosticsOfFiles }
  Object.assign(/** @type {any} */ (require.cache[id]), { exports: { ...ts, ...ours } })
  const { createConverter, isCompleteCode } = require('tslab/dist/converter')
  const { printQuickInfo } = require('tslab/dist/inspect')
  return { ...createConverter(), isCompleteCode, printQuickInfo, poll: watch.poll, lastMaps: () => maps }
}

module.exports = { createConverter }
