// @ts-check
// The last step from TypeScript to what runs: CommonJS with a source map, and awaits that an
// interrupt can end.
const packages = require('./packages.cjs')
/** @type {typeof import('typescript')} */
const ts = packages.fromTslab(packages.compiler)

/** @typedef {import('typescript').Node} Node */
/** @typedef {import('typescript').SourceFile} SourceFile */

/**
 * `await p` becomes `__async__.resume(__async__.now(), await p)`: `resume` throws where an
 * interrupt came in between, so a loop that awaits ends there, its `finally` blocks run, and no
 * promise is wrapped.
 * @type {import('typescript').TransformerFactory<SourceFile>}
 */
const interruptible = context => file => {
  const { factory: f } = context
  /** @param {string} name @param {import('typescript').Expression[]} args */
  function call(name, ...args) {
    const callee = f.createPropertyAccessExpression(f.createIdentifier('__async__'), name)
    return f.createCallExpression(callee, undefined, args)
  }
  /** @type {(node: Node) => Node} */
  function visit(node) {
    const n = ts.visitEachChild(node, visit, context)
    if (ts.isAwaitExpression(n)) return call('resume', call('now'), n)
    if (!ts.isForOfStatement(n) || !n.awaitModifier) return n
    const source = call('each', n.expression)
    return f.updateForOfStatement(n, n.awaitModifier, n.initializer, source, n.statement)
  }
  return /** @type {SourceFile} */ (ts.visitNode(file, visit))
}

// Imported names stay tied to their module, so that a reload reaches them, and a module must be
// able to define its own anew: TypeScript writes both in one form.
const NAME = /Object\.defineProperty\(exports, ("[^"]+"), /
const GETTER = /\{ enumerable: true, get: (function \(\) \{ return [^}]+; \}) \}\);/
const IMPORTED = new RegExp(NAME.source + GETTER.source, 'g')
const FIXED = /\{ enumerable: true, get: function/g
const MAP_COMMENT = /\n\/\/# sourceMappingURL=.*\s*$/

/**
 * @param {string} text
 * @param {import('typescript').TranspileOptions} [options]
 * @returns {import('typescript').TranspileOutput}
 */
function transpile(text, options = {}) {
  const out = ts.transpileModule(text, {
    ...options,
    compilerOptions: { ...options.compilerOptions, sourceMap: true },
    transformers: { before: [interruptible] },
  })
  out.outputText = out.outputText
    .replace(MAP_COMMENT, '\n')
    .replace(IMPORTED, '__live__(exports, $1, $2);')
    .replace(FIXED, '{ enumerable: true, configurable: true, get: function')
  return out
}

/** @type {import('typescript').CompilerOptions} */
const moduleOptions = {
  module: ts.ModuleKind.CommonJS,
  target: ts.ScriptTarget.ES2022,
  esModuleInterop: true,
  experimentalDecorators: true,
}

/** @param {string} text */
const imports = text => ts.preProcessFile(text, true, true).importedFiles.map(f => f.fileName)

/**
 * A module's TypeScript as JavaScript, its source map and the names it imports.
 * @param {string} text
 */
function transpileModule(text) {
  const { outputText, sourceMapText } = transpile(text, { compilerOptions: moduleOptions })
  return { code: outputText, maps: [String(sourceMapText)], imports: imports(text) }
}

module.exports = { ts, transpile, transpileModule, imports }
