/** From notebooks to modules: pure, the same notebooks always give the same bytes. */
import { createHash } from 'crypto'
import * as path from 'path'
import type { ExportCell, Import } from './cells'
import { Line, Place, where } from './place'
import type { Read } from './read'

/** A generated module; `text` is the file, `lines` the same with the places they came from. */
export interface Module {
  name: string
  notebooks: string[]
  cells: ExportCell[]
  lines: Line[]
  text: string
}

/** Names of the project, and the first notebooks of modules that are not built in this call. */
export interface Options {
  lib: string
  owners?: Map<string, string>
}

type Plan = Map<string, ExportCell[]>

const headLine = /^\/\/ Do not edit: .* from (.+) \(([0-9a-f]{12})\)\n/

/** The first line of each cell's part of a module: where it comes from. */
export const mark = /^\/\/ %% (\S.*\.ipynb) ([\w-]+)$/

/** All modules that the notebooks, in the order of their numbers, export; errors name their place. */
export function buildModules(read: Read[], { lib, owners = new Map() }: Options): Module[] {
  const plan: Plan = new Map()
  for (const { module, cell } of read.flatMap(o => o.cells)) {
    plan.set(module, [...plan.get(module) ?? [], cell])
  }
  const first = new Map([...owners, ...[...plan].map(([k, o]) => [k, o[0].notebook] as const)])
  for (const o of read) checkOrder(o, lib, first)
  checkCircles(plan, lib)
  const mains = mainNotebooks(read, lib)
  return [...plan].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, cells]) => layOut(name, cells, lib, mains.get(name)?.doc ?? []))
}

/** `{ "matmul.einsum": "nbs/05_matmul.ipynb#3f2a9c1b" }`: each name and its cell, sorted. */
export function indexOf(modules: Module[]): Record<string, string> {
  const all = modules.flatMap(m => m.cells.flatMap(o => [...o.names, ...o.reexports]
    .map(([name]) => [`${m.name}.${name}`, `${o.notebook}#${o.id}`])))
  return Object.fromEntries(all.sort(([a], [b]) => a < b ? -1 : 1))
}

/** The text of the index file: one symbol a line. */
export function indexText(index: Record<string, string>): string {
  return JSON.stringify(index, null, 1) + '\n'
}

/** The notebooks named in a module's first line, or nothing where `text` was not made by export. */
export function headNotebooks(text: string, lib: string): string[] | undefined {
  return headLine.exec(text)?.[1].split(', ').map(o => path.posix.join(lib, o))
}

/** True when `text` still has the sum in its first line, that is: nobody wrote in it since. */
export function isUntouched(text: string): boolean {
  return headLine.exec(text)?.[2] === sumOf(text)
}

/** True when two texts of a module differ, if at all, in the first line only. */
export function isSameBody(a: string, b: string): boolean {
  return a.slice(a.indexOf('\n')) === b.slice(b.indexOf('\n'))
}

/** The sum in a module's first line: which text the last export wrote. */
export function headSum(text: string): string | undefined { return headLine.exec(text)?.[2] }

function sumOf(text: string) {
  const blank = text.replace(headLine, line => line.replace(/\(\w+\)\n$/, '\n'))
  return createHash('sha256').update(blank).digest('hex').slice(0, 12)
}

function mainNotebooks(read: Read[], lib: string) {
  const mains = new Map<string, Read>()
  for (const o of read) {
    if (!o.main) continue
    const { value, place } = o.main, before = mains.get(value)
    if (before) throw new Error(`${where(place)}: ${before.name} makes ${lib}/${value} already`)
    mains.set(value, o)
  }
  return mains
}

// a notebook imports what an earlier one, or itself, exports
function checkOrder({ name, imports }: Read, lib: string, first: Map<string, string>) {
  for (const { module, place } of imports) {
    const owner = first.get(module)
    if (!owner) throw new Error(`${where(place)}: no notebook exports ${lib}/${module}`)
    if (owner > name) throw new Error(`${where(place)}: ${lib}/${module} comes later, in ${owner}`)
  }
}

function checkCircles(plan: Plan, lib: string) {
  const walk = (module: string, above: string[]): void => {
    for (const { from, place } of (plan.get(module) ?? []).flatMap(o => o.imports)) {
      const next = from.startsWith(`${lib}/`) ? from.slice(lib.length + 1) : ''
      const path = [...above, module]
      if (path.includes(next)) {
        const circle = [...path.slice(path.indexOf(next)), next].join(' → ')
        throw new Error(`${where(place)}: modules import each other in a circle, ${circle}`)
      }
      if (plan.has(next)) walk(next, path)
    }
  }
  for (const module of plan.keys()) walk(module, [])
}

function checkNames(name: string, cells: ExportCell[]) {
  const seen = new Map<string, Place>()
  for (const [key, place] of cells.flatMap(o => [...o.names, ...o.reexports])) {
    const before = seen.get(key)
    if (before) {
      throw new Error(`${where(place)}: ${name} has ${key} already, from ${where(before)}`)
    }
    seen.set(key, place)
  }
}

function layOut(name: string, cells: ExportCell[], lib: string, doc: string[]): Module {
  checkNames(`${lib}/${name}`, cells)
  const notebooks = [...new Set(cells.map(o => o.notebook))]
  const from = notebooks.map(o => path.posix.relative(lib, o))
  const head = headLines(cells, lib)
  const parts = cells.filter(o => o.lines.length)
  const lines: Line[] = [
    ...doc.map(o => ({ text: `// ${o}`.trimEnd() })),
    ...head.length ? [{ text: '' }, ...head] : [],
    ...parts.flatMap(o => {
      const text = `// %% ${path.posix.relative(lib, o.notebook)} ${o.id}`
      return [{ text: '' }, { text, place: o.place }, ...o.lines]
    })
  ]
  const made = `// Do not edit: made by "npm run export" from ${from.join(', ')}`
  const body = lines.map(o => o.text + '\n').join('')
  const sum = sumOf(`${made} (000000000000)\n${body}`), first = `${made} (${sum})`
  return { name, notebooks, cells, lines: [{ text: first }, ...lines],
    text: `${first}\n${body}` }
}

// imports, merged and sorted, then the imported names that are exported again
function headLines(cells: ExportCell[], lib: string): Line[] {
  const locals = new Map<string, Import>()
  for (const o of cells.flatMap(o => o.imports)) {
    const key = o.local || `effects of ${o.from}`, old = locals.get(key)
    if (old && (old.from !== o.from || old.imported !== o.imported)) {
      throw new Error(`${where(o.place)}: ${o.local} is imported from "${old.from}" already, `
        + `in ${where(old.place)}`)
    }
    if (!old || old.isType && !o.isType) locals.set(key, o)
  }
  const byFrom = new Map<string, Import[]>()
  for (const o of locals.values()) {
    const from = o.from.startsWith(`${lib}/`) ? `./${o.from.slice(lib.length + 1)}` : o.from
    byFrom.set(from, [...byFrom.get(from) ?? [], o])
  }
  const rank = (from: string) => from.startsWith('.') ? `~${from}` : from
  return [...[...byFrom].sort(([a], [b]) => rank(a) < rank(b) ? -1 : 1)
    .flatMap(([from, all]) => importLines(from, all)), ...reexportLines(cells, locals)]
}

function importLines(from: string, all: Import[]): Line[] {
  const pick = (imported: string) => all.filter(o => o.imported === imported)
  const line = (o: Import, what: string) =>
    ({ text: `import ${o.isType ? 'type ' : ''}${what}'${from}'`, place: o.place })
  const named = all.filter(o => !['', '*', '=', 'default'].includes(o.imported))
  return [
    ...pick('').map(o => line(o, '')),
    ...pick('=').map(o => ({ text: `import ${o.local} = require('${from}')`, place: o.place })),
    ...pick('*').map(o => line(o, `* as ${o.local} from `)),
    ...pick('default').map(o => line(o, `${o.local} from `)),
    ...[false, true].flatMap(isType => {
      const some = named.filter(o => o.isType === isType).sort((a, b) => a.local < b.local ? -1 : 1)
      const names = some.map(o => o.imported === o.local ? o.local : `${o.imported} as ${o.local}`)
      return some.length ? wrapped(line(some[0], `{ ${names.join(', ')} } from `)) : []
    })
  ]
}

function wrapped({ text, place }: Line): Line[] {
  if (text.length <= 100) return [{ text, place }]
  const cut = text.lastIndexOf(', ', 100) + 1
  return cut ? [{ text: text.slice(0, cut), place },
    ...wrapped({ text: ' ' + text.slice(cut), place })] : [{ text, place }]
}

function reexportLines(cells: ExportCell[], locals: Map<string, Import>): Line[] {
  return cells.flatMap(o => o.reexports).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, place]) => {
      const found = locals.get(name)
      if (!found) throw new Error(`${where(place)}: ${name} is not imported in an export cell`)
      return { text: `export ${found.isType ? 'type ' : ''}{ ${name} }`, place }
    })
}
