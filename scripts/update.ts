/**
 * `npm run update`: takes edits made in the library's modules back into the notebooks' cells.
 *
 * Only what stands below a cell's mark can go back. The new cells are exported again in memory and
 * must give the edited module; otherwise the place is named and nothing is changed.
 */
import * as fs from 'fs'
import * as path from 'path'
import { sweep, writeAtomic } from './atomic'
import { cellHead, isHeadOnly, lineOf, parseCode, withoutExport } from './cells'
import { command } from './command'
import { libraryTexts } from './export'
import { Module, headNotebooks, headSum, indexOf, indexText, isUntouched, mark } from './module'
import { cellSource, directives, formatNotebook, readNotebook } from './notebook'
import { Source, modulesFrom } from './read'
import { Project, notebookNames, openProject } from './settings'

/** What an update does to the disk: paths from the project's root → new texts. */
export interface Update { notebooks: Map<string, string>, modules: Map<string, string> }

interface Part { key: string, line: number, lines: string[] }
interface NewCell { first: number, code: string }
interface Edit { module: Module, file: string, old: Part[], now: Part[] }

/** The texts that bring the notebooks up to the edited modules in `texts` (file → text). */
export function updates(project: Project, sources: Source[], texts: Map<string, string>): Update {
  const { lib } = project, modules = modulesFrom(sources, project)
  const edits = [...texts].filter(([file, o]) => file.endsWith('.ts') && headNotebooks(o, lib))
    .filter(([, o]) => !isUntouched(o))
    .map(([file, o]) => readEdit(o, `${lib}/${file}`, modules.find(m => `${m.name}.ts` === file)))
  const codes = new Map(edits.flatMap(newCells))
  const updated = sources.map(o => withCells(o, codes))
  const rebuilt = new Map(modulesFrom(updated, project).map(o => [o.name, o]))
  for (const o of edits) checkSame(o, rebuilt.get(o.module.name)!.text)
  const touched = new Set([...codes.keys()].map(o => o.split('#')[0]))
  const notebooks = updated.filter(o => touched.has(o.name))
    .map(o => [o.name, formatNotebook(o.notebook)] as const)
  const index = indexText(indexOf([...rebuilt.values()]))
  return { notebooks: new Map(notebooks), modules: new Map(edits.length
    ? [...edits.map(o => [o.file, rebuilt.get(o.module.name)!.text] as const),
      [`${lib}/_index.json`, index]] : []) }
}

/** Update a project; returns the notebooks it changed. */
export function updateProject(project: Project): string[] {
  const sources = notebookNames(project).map(name =>
    ({ name, notebook: readNotebook(path.join(project.root, name), name) }))
  const { notebooks, modules } = updates(project, sources, libraryTexts(project))
  // notebooks first: a kill in between leaves modules that export finds equal to their cells
  for (const [name, text] of [...notebooks, ...modules]) {
    const file = path.join(project.root, name)
    sweep(path.dirname(file))
    writeAtomic(file, text)
  }
  return [...notebooks.keys()]
}

function readEdit(text: string, file: string, module?: Module): Edit {
  if (!module) throw new Error(`${file}, line 1: no notebook exports this module any more`)
  const old = parts(module.text), now = parts(text)
  const isSame = old.length === now.length
    && old.every((o, i) => o.key === now[i].key && firstDifference(o.lines, now[i].lines) < 0)
  if (isSame) return { module, file, old, now }
  if (headSum(text) !== headSum(module.text)) {
    throw new Error(`${file} was edited, and ${module.notebooks.join(', ')} changed too since the `
      + 'last export: undo one of the two')
  }
  const odd = now.findIndex((o, i) => o.key !== old[i]?.key)
  if (odd >= 0) throw new Error(`${file}, line ${now[odd].line}: no cell for this mark here`)
  if (now.length < old.length) {
    throw new Error(`${file}: the mark "${old[now.length].key}" is gone`)
  }
  const line = firstDifference(old[0].lines, now[0].lines)
  if (line >= 0) {
    throw new Error(`${file}, line ${line + 1}: lines above the first mark are made from the `
      + "cells' directives and imports: change them in the notebook")
  }
  return { module, file, old, now }
}

// the first part is what stands above the first mark; its first line holds the sum
function parts(text: string): Part[] {
  const found: Part[] = [{ key: '', line: 1, lines: [] }]
  for (const [i, line] of text.split('\n').entries()) {
    if (mark.test(line)) found.push({ key: line.slice(6), line: i + 1, lines: [] })
    else found.at(-1)!.lines.push(i ? line : line.replace(/ \(\w+\)$/, ''))
  }
  for (const { lines } of found) while (lines.length && !lines.at(-1)!.trim()) lines.pop()
  return found
}

function newCells({ module, file, old, now }: Edit): [string, NewCell][] {
  const cells = module.cells.filter(o => o.lines.length)
  return now.slice(1).flatMap((part, i): [string, NewCell][] => {
    if (firstDifference(part.lines, old[i + 1].lines) < 0) return []
    const place = (line: number) => `${file}, line ${part.line + line}`
    const text = part.lines.join('\n'), tree = parseCode(text, place)
    const odd = tree.statements.find(isHeadOnly)
    const line = directives(text)[0]?.line ?? (odd && lineOf(text, odd.getStart(tree)))
    if (line) {
      throw new Error(`${place(line)}: directives, imports and lists of exports are made from the `
        + 'cells: change them in the notebook')
    }
    const { notebook, id, lines } = cells[i]
    return [[`${notebook}#${id}`, { first: lines[0].place!.line, code: withoutExport(text, tree) }]]
  })
}

function withCells({ name, notebook }: Source, codes: Map<string, NewCell>): Source {
  const cells = notebook.cells.map(cell => {
    const found = codes.get(`${name}#${cell.id}`)
    if (!found) return cell
    return { ...cell, source: [...cellHead(cellSource(cell), found.first), found.code].join('\n') }
  })
  return { name, notebook: { ...notebook, cells } }
}

function checkSame({ file, now }: Edit, text: string) {
  const exported = parts(text)
  if (exported.length < now.length) {
    const gone = now.find(o => !exported.some(e => e.key === o.key))!
    throw new Error(`${file}, line ${gone.line}: an empty cell: remove it in the notebook`)
  }
  for (const [i, { lines }] of exported.entries()) {
    const at = firstDifference(lines, now[i].lines)
    if (at < 0) continue
    const line = lines[at]?.trim() ? `"${lines[at].trim()}"` : 'nothing'
    throw new Error(`${file}, line ${now[i].line + at + 1}: cannot go back into a cell: export `
      + `would write ${line} here`)
  }
}

function firstDifference(a: string[], b: string[]) {
  for (let i = 0; i < Math.max(a.length, b.length); i++) if (a[i] !== b[i]) return i
  return -1
}

if (require.main === module) {
  void command([], (_, words) => {
    if (words.length) throw new Error(`update takes no names, got ${words.join(' ')}`)
    const names = updateProject(openProject())
    console.log(`update: ${names.join(', ') || 'nothing to take back'}`)
  })
}
