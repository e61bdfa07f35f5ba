/** One cell as the exporter sees it: directives, imports, declared names, lines to export. */
import * as ts from 'typescript'
import { CodeCell, Directive, directives } from './notebook'
import { Line, Place, where } from './place'

/** An imported name; `imported` is `*`, `default`, `=` (`import x = require`) or '' (effects). */
export interface Import {
  from: string
  imported: string
  local: string
  isType: boolean
  place: Place
}

/** What an export cell adds to its module: plain data; a name stands with its place. */
export interface ExportCell {
  notebook: string
  id: string
  place: Place
  lines: Line[]
  names: [string, Place][]
  reexports: [string, Place][]
  imports: Import[]
}

const exporting = ['export', 'exports', 'exporti']
const builtin = ['default_exp', ...exporting, 'reexport', 'hide', 'eval', 'varies']

/** The directives of a cell, refused where one is unknown, without its value, or below the code. */
export function checkedDirectives(cell: CodeCell, notebook: string, flags: string[]): Directive[] {
  const found = directives(cell.source), known = [...builtin, ...flags]
  const fail = (line: number, what: string): never => {
    throw new Error(`${where({ notebook, cell: cell.number, line })}: ${what}`)
  }
  for (const { name, value, line } of found) {
    if (!known.includes(name)) {
      fail(line, `unknown directive "//| ${name}" (known: ${known.join(', ')})`)
    }
    if (name === 'eval' && !/^(true|false)$/.test(value)) {
      fail(line, '"//| eval" wants true or false')
    }
    if (name === 'reexport' && !value) fail(line, '"//| reexport" wants the names to export again')
    const isModule = name === 'default_exp' || exporting.includes(name) && value
    if (isModule && !/^[a-z]\w*$/.test(value)) {
      fail(line, `"${value}" cannot name a module (a small letter, then letters and digits)`)
    }
  }
  const late = cell.source.split('\n').findIndex((o, i) =>
    o.startsWith('//|') && !found.some(d => d.line === i + 1))
  if (late >= 0) fail(late + 1, 'a directive belongs to the first lines of its cell')
  if (found.filter(o => exporting.includes(o.name)).length > 1) fail(1, 'a cell is exported once')
  return found
}

/** The directive that exports a cell, if it has one. */
export function exportDirective(found: Directive[]): Directive | undefined {
  return found.find(o => exporting.includes(o.name))
}

/** The modules that a cell imports by `prefix/name`, each with its place. */
export function importedModules(cell: CodeCell, notebook: string, prefix: string) {
  if (!cell.source.includes(`${prefix}/`)) return []
  return ts.preProcessFile(cell.source, true, true).importedFiles
    .filter(o => o.fileName.startsWith(`${prefix}/`))
    .map(o => ({ module: o.fileName.slice(prefix.length + 1),
      place: { notebook, cell: cell.number, line: lineOf(cell.source, o.pos) } }))
}

/** The text of a cell as TypeScript's tree; refused where it is not TypeScript. */
export function parseCode(source: string, place: (line: number) => string): ts.SourceFile {
  const tree = ts.createSourceFile('cell.ts', source, { languageVersion: ts.ScriptTarget.ES2022,
    jsDocParsingMode: ts.JSDocParsingMode.ParseNone })
  // the only way to the parser's findings that does not build a program
  const [error] = (tree as unknown as { parseDiagnostics: ts.Diagnostic[] }).parseDiagnostics
  if (error) {
    const text = ts.flattenDiagnosticMessageText(error.messageText, ' ')
    throw new Error(`${place(lineOf(source, error.start ?? 0))}: ${text}`)
  }
  return tree
}

/** The number of the line, from 1, in which the character at `pos` stands. */
export function lineOf(text: string, pos: number): number {
  return text.slice(0, pos).split('\n').length
}

/** A cell ready for its module: imports taken out, `export` before each public declaration. */
export function exportCell(cell: CodeCell, notebook: string, found: Directive[]): ExportCell {
  const source = cell.source.replace(/\r\n?/g, '\n')
  const at = (line: number): Place => ({ notebook, cell: cell.number, line })
  const tree = parseCode(source, line => where(at(line)))
  const placeOf = (o: ts.Node) => at(lineOf(source, o.getStart(tree)))
  const edits: { pos: number, end: number, text: string }[] = []
  const names = new Map<string, Place>(), imports: Import[] = []
  const isPublic = exportDirective(found)?.name !== 'exporti'
  for (const o of tree.statements) {
    refuseExport(o, placeOf(o))
    if (isImport(o)) {
      imports.push(...bindings(o, placeOf(o)))
      edits.push({ pos: o.getStart(tree), end: o.end, text: '' })
    }
    const declared = declaredNames(o)
    for (const name of declared) names.set(name, placeOf(o))
    const hidden = declared.filter(name => name.startsWith('_'))
    if (hidden.length && hidden.length < declared.length) {
      throw new Error(`${where(placeOf(o))}: ${declared.join(', ')}: a private name (_) and a `
        + 'public one want a statement each')
    }
    const pos = exportPosition(o, tree)
    const isExported = isPublic && declared.length && !hidden.length
    if (isExported) edits.push({ pos, end: pos, text: 'export ' })
  }
  const reexports = found.filter(o => o.name === 'reexport')
    .flatMap(o => o.value.split(/[\s,]+/).map(name => [name, at(o.line)] as [string, Place]))
  const lines = editedLines(source, edits, found.map(o => o.line)).map(([text, n]) =>
    ({ text, place: at(n) }))
  return { notebook, id: cell.id, place: at(1), lines, names: [...names], reexports, imports }
}

/** The lines of a cell above line `first`, and the imports below: what `exportCell` takes out. */
export function cellHead(source: string, first: number): string[] {
  const tree = ts.createSourceFile('cell.ts', source, ts.ScriptTarget.ES2022)
  const late = tree.statements.filter(isImport)
    .filter(o => lineOf(source, o.getStart(tree)) >= first)
  return [...source.split('\n').slice(0, first - 1), ...late.map(o => o.getText(tree))]
}

/** A cell's code out of a module: `export` taken from each declaration that carries it. */
export function withoutExport(code: string, tree: ts.SourceFile): string {
  const found = tree.statements.flatMap(o => ts.canHaveModifiers(o) ? ts.getModifiers(o) ?? [] : [])
    .filter(o => o.kind === ts.SyntaxKind.ExportKeyword).map(o => o.getStart(tree))
  return found.reverse().reduce((text, pos) =>
    text.slice(0, pos) + text.slice(pos).replace(/^export\s*/, ''), code)
}

// where `export` stands: after a declaration's comments and decorators
function exportPosition(o: ts.Statement, tree: ts.SourceFile): number {
  const last = ts.canHaveDecorators(o) ? ts.getDecorators(o)?.at(-1) : undefined
  return last ? last.end + tree.text.slice(last.end).search(/\S/) : o.getStart(tree)
}

// `import … from`, `import '…'` and `import x = require('…')`
function isImport(o: ts.Statement): o is ts.ImportDeclaration | ts.ImportEqualsDeclaration {
  return ts.isImportDeclaration(o)
    || ts.isImportEqualsDeclaration(o) && ts.isExternalModuleReference(o.moduleReference)
}

function isExported(o: ts.Statement): boolean {
  return ts.canHaveModifiers(o)
    && !!ts.getModifiers(o)?.some(m => m.kind === ts.SyntaxKind.ExportKeyword)
}

/** True for the statements that only a module's head has: imports, and exports of other names. */
export function isHeadOnly(o: ts.Statement): boolean {
  return isImport(o) || ts.isExportDeclaration(o) || ts.isExportAssignment(o)
}

function refuseExport(o: ts.Statement, place: Place) {
  if (!isExported(o) && (isImport(o) || !isHeadOnly(o))) return
  throw new Error(`${where(place)}: a cell carries no "export", "//| export" adds it; `
    + 'an imported name is exported again by "//| reexport name"')
}

function declaredNames(o: ts.Statement): string[] {
  if (ts.isVariableStatement(o)) {
    return o.declarationList.declarations.flatMap(d => boundNames(d.name))
  }
  const isNamed = ts.isFunctionDeclaration(o) || ts.isClassDeclaration(o) || ts.isEnumDeclaration(o)
    || ts.isInterfaceDeclaration(o) || ts.isTypeAliasDeclaration(o) || ts.isModuleDeclaration(o)
    || ts.isImportEqualsDeclaration(o) && !isImport(o)
  const isGlobal = !!(o.flags & ts.NodeFlags.GlobalAugmentation)
  return isNamed && !isGlobal && o.name && ts.isIdentifier(o.name) ? [o.name.text] : []
}

function boundNames(o: ts.BindingName): string[] {
  if (ts.isIdentifier(o)) return [o.text]
  return o.elements.flatMap(e => ts.isOmittedExpression(e) ? [] : boundNames(e.name))
}

function bindings(o: ts.ImportDeclaration | ts.ImportEqualsDeclaration, place: Place): Import[] {
  if (ts.isImportEqualsDeclaration(o)) {
    const ref = o.moduleReference as ts.ExternalModuleReference
    const from = (ref.expression as ts.StringLiteral).text
    return [{ from, imported: '=', local: o.name.text, isType: o.isTypeOnly, place }]
  }
  if (o.attributes) throw new Error(`${where(place)}: import attributes cannot be exported`)
  const from = (o.moduleSpecifier as ts.StringLiteral).text, clause = o.importClause
  const isType = !!clause?.isTypeOnly, named = clause?.namedBindings
  const one = (imported: string, local: string, isType: boolean) =>
    ({ from, imported, local, isType, place })
  if (!clause) return [one('', '', false)]
  return [
    ...clause.name ? [one('default', clause.name.text, isType)] : [],
    ...named && ts.isNamespaceImport(named) ? [one('*', named.name.text, isType)] : [],
    ...named && ts.isNamedImports(named) ? named.elements.map(e =>
      one((e.propertyName ?? e.name).text, e.name.text, isType || e.isTypeOnly)) : []
  ]
}

// the lines left after the edits, each with its number; lines that an edit or directive emptied go
function editedLines(source: string, edits: { pos: number, end: number, text: string }[],
  directiveLines: number[]): [string, number][] {
  const cut = new Set(directiveLines)
  let text = source
  for (const { pos, end, text: insert } of [...edits].sort((a, b) => b.pos - a.pos)) {
    const old = source.slice(pos, end), breaks = '\n'.repeat(old.split('\n').length - 1)
    if (old) for (let n = lineOf(source, pos); n <= lineOf(source, end); n++) cut.add(n)
    text = text.slice(0, pos) + insert + breaks + text.slice(end)
  }
  const kept = text.split('\n').map((o, i): [string, number] => [o, i + 1])
    .filter(([o, n]) => !directiveLines.includes(n) && !(cut.has(n) && !o.trim()))
  while (kept.length && !kept[0][0].trim()) kept.shift()
  while (kept.length && !kept.at(-1)![0].trim()) kept.pop()
  return kept
}
