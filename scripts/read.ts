/** What the export needs of one notebook: pure, and plain data, so that it can be kept. */
import { ExportCell, checkedDirectives, exportCell, exportDirective, importedModules } from './cells'
import { Module, buildModules, mark } from './module'
import { CodeCell, Directive, Notebook, cellSource, codeCells } from './notebook'
import { Place, where } from './place'

/** A notebook and its path from the project's root, with `/`. */
export interface Source { name: string, notebook: Notebook }

/** A notebook read: what it exports and where to, what it imports, and its title's quotation. */
export interface Read {
  name: string
  main?: { value: string, place: Place }
  doc: string[]
  cells: { module: string, cell: ExportCell }[]
  imports: { module: string, place: Place }[]
}

/** The modules of whole notebooks, read here and now. */
export function modulesFrom(sources: Source[], names: { lib: string, flags: string[] }): Module[] {
  return buildModules(sources.map(o => readSource(o, names)), names)
}

/** Read a notebook, refused where a cell cannot be exported; `flags` are the project's own. */
export function readSource({ name, notebook }: Source,
  { lib, flags }: { lib: string, flags: string[] }): Read {
  const found = codeCells(notebook).map(cell =>
    ({ cell, directives: checkedDirectives(cell, name, flags) }))
  const main = mainModule(found, name), cells: Read['cells'] = []
  for (const { cell, directives } of found) {
    const directive = exportDirective(directives)
    if (!directive) continue
    const place = where({ notebook: name, cell: cell.number, line: directive.line })
    const module = directive.value || main?.value
    if (!module) throw new Error(`${place}: no module: no cell says "//| default_exp name"`)
    if (!/^[\w-]+$/.test(cell.id) || cells.some(o => o.cell.id === cell.id)) {
      throw new Error(`${place}: the cell has no id of its own: run npm run clean`)
    }
    const one = exportCell(cell, name, directives)
    checkCell(one, lib, module)
    cells.push({ module, cell: one })
  }
  const imports = found.flatMap(o => importedModules(o.cell, name, lib))
  return { name, main, doc: docOf(notebook), cells, imports }
}

function mainModule(found: { cell: CodeCell, directives: Directive[] }[], notebook: string) {
  const mains = found.flatMap(o => o.directives.filter(d => d.name === 'default_exp')
    .map(d => ({ value: d.value, place: { notebook, cell: o.cell.number, line: d.line } })))
  if (mains.length > 1) throw new Error(`${where(mains[1].place)}: a second "//| default_exp"`)
  return mains[0]
}

function checkCell({ imports, lines }: ExportCell, lib: string, module: string) {
  for (const { from, place } of imports) {
    if (from === `${lib}/${module}`) throw new Error(`${where(place)}: ${from} imports itself`)
    if (from.startsWith('.')) {
      throw new Error(`${where(place)}: import "${lib}/name", not the relative "${from}"`)
    }
  }
  const marked = lines.find(o => mark.test(o.text))
  if (marked) throw new Error(`${where(marked.place!)}: a line like the exporter's own marks`)
}

// the quotation below the title is what the module says of itself
function docOf(notebook: Notebook): string[] {
  const top = notebook.cells.find(o => o.cell_type === 'markdown' && /^# /.test(cellSource(o)))
  const [, ...lines] = top ? cellSource(top).split('\n').filter(o => o.trim()) : []
  const end = lines.findIndex(o => !o.startsWith('>'))
  return lines.slice(0, end < 0 ? undefined : end).map(o => o.replace(/^>\s?/, ''))
}
