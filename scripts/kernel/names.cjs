// @ts-check
// tslab writes `exports.a` for the `a` of an earlier cell, but mistakes two names in braces.
const { ts } = require('./transpile.cjs')

/** @typedef {import('typescript').Node} Node */
/** @typedef {import('typescript').SourceFile} SourceFile */

/**
 * Goes before tslab's own transformer. The variable in `{ a }` tslab takes for a property: it
 * becomes `{ a: exports.a }`. The property in `const { a: x } = v` it takes for a variable, where
 * an earlier cell declared it: tslab passes by a name that has no place in the source.
 * @param {import('typescript').TypeChecker} checker
 * @returns {import('typescript').TransformerFactory<SourceFile>}
 */
const namesInBraces = checker => context => file => {
  const { factory: f } = context
  const { parent: earlier } = ts.getOriginalNode(file) // where tslab puts the earlier cells
  if (!earlier) return file
  /** @type {{ resolveName: Function }} */
  const { resolveName } = /** @type {any} */ (checker)

  /** @param {import('typescript').Identifier} name */
  function isEarlier(name) {
    /** @type {import('typescript').Symbol | undefined} */
    const symbol = resolveName(name.text, ts.getOriginalNode(name), ts.SymbolFlags.Value, false)
    return symbol?.declarations?.some(d => d.getSourceFile() === earlier)
  }
  /** @param {import('typescript').Identifier} name */
  const unplaced = name => ts.setTextRange(f.createIdentifier(name.text), name)

  /** @param {import('typescript').ShorthandPropertyAssignment} n */
  function written({ name, objectAssignmentInitializer: otherwise }) {
    const value = f.createPropertyAccessExpression(f.createIdentifier('exports'), name.text)
    const full = otherwise ? f.createAssignment(value, otherwise) : value
    return f.createPropertyAssignment(unplaced(name), full)
  }
  /** @type {(node: Node) => Node} */
  function visit(node) {
    const n = ts.visitEachChild(node, visit, context)
    if (ts.isShorthandPropertyAssignment(n) && isEarlier(n.name)) {
      return ts.setTextRange(written(n), n)
    }
    if (!ts.isBindingElement(n) || !n.propertyName || !ts.isIdentifier(n.propertyName)) return n
    const { dotDotDotToken, propertyName, name, initializer } = n
    return f.updateBindingElement(n, dotDotDotToken, unplaced(propertyName), name, initializer)
  }
  return ts.visitEachChild(file, visit, context)
}

module.exports = { namesInBraces }
