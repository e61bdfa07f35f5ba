// @ts-check
const { ts } = require('./transpile.cjs')

/** @typedef {(name: string) => boolean} Wanted */

/** @param {import('typescript').NamedImportBindings | undefined} b @param {Wanted} wanted */
function bindings(b, wanted) {
  if (!b || ts.isNamespaceImport(b)) return b && wanted(b.name.text) ? b : undefined
  const elements = b.elements.filter(e => wanted(e.name.text))
  return elements.length ? ts.factory.createNamedImports(elements) : undefined
}

/** @param {import('typescript').ImportDeclaration} node @param {Wanted} wanted */
function imports(node, wanted) {
  const clause = node.importClause
  const name = clause?.name && wanted(clause.name.text) ? clause.name : undefined
  const named = bindings(clause?.namedBindings, wanted)
  if (!clause || !name && !named) return []
  const kept = ts.factory.createImportClause(clause.isTypeOnly, name, named)
  return [ts.factory.createImportDeclaration(node.modifiers, kept, node.moduleSpecifier)]
}

/** @param {import('typescript').VariableStatement} node @param {Wanted} wanted */
function variables(node, wanted) {
  const list = node.declarationList
  const kept = list.declarations.filter(d => ts.isIdentifier(d.name) && wanted(d.name.text))
  if (!kept.length) return []
  const fewer = ts.factory.createVariableDeclarationList(kept, list.flags)
  return [ts.factory.createVariableStatement(node.modifiers, fewer)]
}

/** @param {import('typescript').Statement} node @param {Wanted} wanted */
function statement(node, wanted) {
  if (ts.isImportDeclaration(node)) return imports(node, wanted)
  if (ts.isVariableStatement(node)) return variables(node, wanted)
  const name = /** @type {import('typescript').DeclarationStatement} */ (node).name?.text
  return name && wanted(name) ? [node] : []
}

/**
 * The declarations of wanted names in a `.d.ts` text.
 * @param {string} text
 * @param {Wanted} wanted
 */
function keep(text, wanted) {
  const file = ts.createSourceFile('keep.d.ts', text, ts.ScriptTarget.Latest)
  const printer = ts.createPrinter()
  return file.statements.flatMap(s => statement(s, wanted))
    .map(s => printer.printNode(ts.EmitHint.Unspecified, s, file) + '\n').join('')
}

module.exports = { keep }
