// @ts-check
// The last step from TypeScript to what runs: CommonJS with a source map, and awaits that an interrupt can end.
const { createRequire } = require('module')
/** @type {typeof import('typescript')} */
const ts = createRequire(require.resolve('tslab/package.json'))('@tslab/typescript-for-tslab')

/**
 * `await p` becomes `__async__.resume(__async__.now(), await p)`: `resume` throws where an interrupt came in between,
 * so a loop that awaits ends there, its `finally` blocks run, and no promise is wrapped.
 * @type {import('typescript').TransformerFactory<import('typescript').SourceFile>}
 */
const interruptible = context => file => {
  const { factory } = context
  /** @param {string} name @param {import('typescript').Expression[]} args */
  const call = (name, ...args) => factory.createCallExpression(
    factory.createPropertyAccessExpression(factory.createIdentifier('__async__'), name), undefined, args)
  /** @type {(node: import('typescript').Node) => import('typescript').Node} */
  const visit = node => {
    const n = ts.visitEachChild(node, visit, context)
    if (ts.isAwaitExpression(n)) return call('resume', call('now'), n)
    if (!ts.isForOfStatement(n) || !n.awaitModifier) return n
    return factory.updateForOfStatement(n, n.awaitModifier, n.initializer, call('each', n.expression), n.statement)
  }
  return /** @type {import('typescript').SourceFile} */ (ts.visitNode(file, visit))
}

// Imported names stay tied to their module, so that a reload reaches them; a module must be able to define them anew.
const IMPORTED = /Object\.defineProperty\(exports, ("[^"]+"), \{ enumerable: true, get: (function \(\) \{ return [^}]+; \}) \}\);/g
const FIXED = /\{ enumerable: true, get: function/g

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
    .replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n')
    .replace(IMPORTED, '__live__(exports, $1, $2);')
    .replace(FIXED, '{ enumerable: true, configurable: true, get: function')
  return out
}

/** @type {import('typescript').CompilerOptions} */
const moduleOptions = {
  module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true, experimentalDecorators: true,
}

/**
 * A module's TypeScript as JavaScript, its source map and the names it imports.
 * @param {string} text
 */
function transpileModule(text) {
  const { outputText, sourceMapText } = transpile(text, { compilerOptions: moduleOptions })
  return { code: outputText, maps: [String(sourceMapText)], imports: imports(text) }
}

/** @param {string} text */
const imports = text => ts.preProcessFile(text, true, true).importedFiles.map(f => f.fileName)

module.exports = { ts, transpile, transpileModule, imports }
