// @ts-check
// tslab's own compiler of cells, unmodified, with the options that this course needs.
const packages = require('./packages.cjs')
const { ts, transpile } = require('./transpile.cjs')
const { namesInBraces } = require('./names.cjs')
const { createWatch } = require('./watch.cjs')

/** @typedef {any} Internal what TypeScript has but does not declare */
/** @typedef {(call: () => void, ms: number) => unknown} SetTimeout */

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
 * TypeScript asks for two timers; tslab keeps one, the program's update. The other's work, to
 * forget failed imports, is done by the next update anyway.
 * @param {Internal} sys
 */
function onlyProgramTimer(sys) {
  const { setTimeout, clearTimeout } = sys, other = {}
  const isUpdate = (/** @type {Function} */ call) => call.name === 'updateProgramWithWatchStatus'
  /** @type {SetTimeout} */
  const set = (call, ms) => isUpdate(call) ? setTimeout(call, ms) : other
  const clear = (/** @type {unknown} */ timer) => { if (timer !== other) clearTimeout(timer) }
  Object.assign(sys, { setTimeout: set, clearTimeout: clear })
}

/**
 * tslab loses the file of a message's explanations: they go with the message.
 * @param {unknown[]} args
 */
function getPreEmitDiagnosticsOfFiles(...args) {
  /** @type {import('typescript').Diagnostic[]} */
  const ds = /** @type {Internal} */ (ts).getPreEmitDiagnosticsOfFiles(...args)
  return ds.map(d => ({ ...d, messageText: ts.flattenDiagnosticMessageText(d.messageText, '\n') }))
}

/**
 * The files with code that `file` imports, and theirs.
 * @param {Internal} program @param {Internal} file @param {Set<string>} found
 */
function dependencies(program, file, found = new Set()) {
  if (!file || file.isDeclarationFile || found.has(file.fileName)) return found
  found.add(file.fileName)
  file.resolvedModules?.forEach((/** @type {Internal} */ { resolvedModule: m }) => {
    if (m) dependencies(program, program.getSourceFile(m.resolvedFileName), found)
  })
  return found
}

/**
 * TypeScript's builder works out anew for each cell what depends on what in a thousand files, to
 * know what to emit; tslab asks it only what a cell depends on. What it emits has names mended.
 * @param {Internal[]} args
 */
function createBuilder(...args) {
  const { createAbstractBuilder, bindSourceFile } = /** @type {Internal} */ (ts)
  const builder = createAbstractBuilder(...args), program = builder.getProgram()
  for (const file of program.getSourceFiles()) bindSourceFile(file, program.getCompilerOptions())
  const getAllDependencies = (/** @type {Internal} */ file) => [...dependencies(program, file)]
  /** @param {Internal[]} args */
  function emit(...args) {
    const transformers = args.pop(), names = namesInBraces(program.getTypeChecker())
    program.emit(...args, { ...transformers, after: [names, ...transformers.after] })
  }
  return Object.assign(builder, { getAllDependencies, emit })
}

/**
 * tslab asks for completions with an empty host; inside the path of an import TypeScript looks at
 * folders and files through it.
 * @param {unknown} _host @param {Internal} program @param {Internal[]} rest
 */
function getCompletionsAtPositionForTslab(_host, program, ...rest) {
  const host = { ...ts.sys, useCaseSensitiveFileNames: () => ts.sys.useCaseSensitiveFileNames,
    getCompilationSettings: () => program.getCompilerOptions() }
  return /** @type {Internal} */ (ts).Completions
    .getCompletionsAtPositionForTslab(host, program, ...rest)
}

/**
 * tslab's converter with `root` as the place of modules and types, and `poll` to look for
 * changed files. What `kept` files need stays in memory, whoever asks.
 * @param {string} root @param {string[]} kept
 */
function createConverter(root, kept) {
  const watch = createWatch(root)
  Object.assign(/** @type {Internal} */ (ts.sys), watch, { getCurrentDirectory: () => root })

  /** @param {Internal[]} args */
  function createWatchCompilerHost(...args) {
    const [files, options, sys, , ...rest] = args
    onlyProgramTimer(sys)
    const better = { ...options, baseUrl: root, types: ['node'], inlineSourceMap: true }
    const roots = [...files, ...kept]
    const create = /** @type {Internal} */ (ts).createWatchCompilerHost
    return create(roots, better, sys, createBuilder, ...rest)
  }
  const { Completions } = /** @type {Internal} */ (ts)
  const ours = { createWatchCompilerHost, transpileModule, getPreEmitDiagnosticsOfFiles,
    Completions: { ...Completions, getCompletionsAtPositionForTslab } }
  const loaded = /** @type {NodeJS.Module} */ (require.cache[packages.compiler])
  loaded.exports = { ...ts, ...ours } // what tslab gets when it asks for TypeScript
  const { createConverter, isCompleteCode } = require('tslab/dist/converter')
  const { printQuickInfo } = require('tslab/dist/inspect')
  const { poll } = watch, lastMaps = () => maps
  return { ...createConverter(), isCompleteCode, printQuickInfo, poll, lastMaps }
}

module.exports = { createConverter }
