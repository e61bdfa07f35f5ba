/** Jupyter notebooks (nbformat 4): read, checked at the door, and written in one canonical form. */
import * as fs from 'fs'
import * as path from 'path'
import { writeAtomic } from './atomic'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
type Lines = string | string[]
type Dict = { [key: string]: Json }

// the MIME types that Jupyter itself stores as lists of lines
const splitMimes = /^(text\/.*|application\/javascript|image\/svg\+xml)$/

/** One output of a code cell, in nbformat's own names. */
export interface Output {
  output_type: 'stream' | 'display_data' | 'execute_result' | 'error'
  name?: string
  text?: Lines
  data?: { [mime: string]: Json }
  metadata?: Dict
  execution_count?: number | null
  ename?: string
  evalue?: string
  traceback?: string[]
}

/** One cell, in nbformat's own names. */
export interface Cell {
  cell_type: 'code' | 'markdown' | 'raw'
  id?: string
  metadata: Dict
  source: Lines
  outputs?: Output[]
  execution_count?: number | null
  attachments?: Dict
}

/** A notebook, in nbformat's own names. */
export interface Notebook {
  cells: Cell[]
  metadata: Dict
  nbformat: number
  nbformat_minor: number
}

/** A code cell with text in it; `number` is the one Jupyter shows after Run All, from 1. */
export interface CodeCell { cell: Cell, id: string, number: number, source: string }

/** `//| name value` at the head of a cell; `line` counts from 1. */
export interface Directive { name: string, value: string, line: number }

/** Several lines of nbformat as one string. */
export function joinLines(lines: Lines): string {
  return typeof lines === 'string' ? lines : lines.join('')
}

/** The text of a cell. */
export function cellSource(cell: Cell): string { return joinLines(cell.source) }

/** The cells that a kernel runs: code cells that are not blank. */
export function codeCells(nb: Notebook): CodeCell[] {
  return nb.cells.filter(o => o.cell_type === 'code' && cellSource(o).trim())
    .map((cell, i) => ({ cell, id: cell.id ?? '', number: i + 1, source: cellSource(cell) }))
}

/** The directives in the first lines of a cell, before any code. */
export function directives(source: string): Directive[] {
  const found: Directive[] = []
  for (const [i, line] of source.split('\n').entries()) {
    const match = /^\s*\/\/\|\s*([^\s:]*):?\s*(.*?)\s*$/.exec(line)
    if (match) found.push({ name: match[1], value: match[2], line: i + 1 })
    else if (line.trim()) break
  }
  return found
}

/** The notebooks of a folder, in the order of their numbers: paths. */
export function notebookPaths(folder: string): string[] {
  return fs.readdirSync(folder).filter(o => o.endsWith('.ipynb') && !o.startsWith('.')).sort()
    .map(o => path.join(folder, o))
}

/** The notebook in a JSON `text`; `name` stands in the error when it is not one. */
export function parseNotebook(text: string, name: string): Notebook {
  const nb = parseJson(text, name) as unknown as Notebook
  if (!Array.isArray(nb?.cells)) throw new Error(`${name}: not a notebook, it has no list of cells`)
  if (nb.nbformat !== 4) {
    throw new Error(`${name}: expected notebook format 4, got ${JSON.stringify(nb.nbformat)}`)
  }
  nb.cells.forEach((cell, i) => checkCell(cell, `${name}, cell ${i + 1} of the file`))
  return nb
}

/** The notebook in `file`; errors are one sentence with the place. */
export function readNotebook(file: string, name = file): Notebook {
  return parseNotebook(fs.readFileSync(file, 'utf8'), name)
}

/** The canonical text of a notebook: sorted keys, indent of one space, texts as lists of lines. */
export function formatNotebook(nb: Notebook): string {
  return JSON.stringify(sortKeys(splitTexts(nb) as unknown as Json), null, 1) + '\n'
}

/** Write `nb` to `file` in its canonical form, whole or not at all. */
export function writeNotebook(file: string, nb: Notebook): void {
  writeAtomic(file, formatNotebook(nb))
}

/** The JSON value in `text`; `name` stands in the error when it is none. */
export function parseJson(text: string, name: string): Json {
  try { return JSON.parse(text.replace(/^\uFEFF/, '')) } catch (e) {
    const conflict = text.split('\n').findIndex(o => /^<{7}( |$)/.test(o))
    if (conflict >= 0) {
      throw new Error(`${name}, line ${conflict + 1} of the file: git left a merge conflict here `
        + '("npm run clean -- --install" lets nbdime merge notebooks cell by cell)')
    }
    const message = (e as Error).message.replace(/, [^]* is not/, ' is not').split('\n')[0]
    throw new Error(`${name}, line ${brokenLine(text)} of the file: not valid JSON (${message})`)
  }
}

// the first line after which the text, cut there, is broken by more than its end (Node 20's
// messages often have no position)
function brokenLine(text: string) {
  const lines = text.split('\n')
  let [good, bad] = [0, lines.length]
  while (bad - good > 1) {
    const n = good + bad >> 1
    if (isOnlyCut(lines.slice(0, n).join('\n'))) good = n
    else bad = n
  }
  return bad
}

function isOnlyCut(text: string) {
  try { return Boolean(JSON.parse(text)) } catch (e) {
    const { message } = e as Error, at = /at position (\d+)/.exec(message)?.[1]
    if (/Unterminated string/.test(message)) return false // a string ends on its line
    return /end of JSON/.test(message) || Number(at ?? -1) >= text.trimEnd().length
  }
}

function checkCell(cell: Cell, place: string) {
  if (!['code', 'markdown', 'raw'].includes(cell?.cell_type)) {
    const got = JSON.stringify(cell?.cell_type)
    throw new Error(`${place}: expected a code, markdown or raw cell, got ${got}`)
  }
  if (!isLines(cell.source)) {
    throw new Error(`${place}: expected a source of text, got ${typeof cell.source}`)
  }
  if (cell.cell_type === 'code' && !Array.isArray(cell.outputs ?? [])) {
    throw new Error(`${place}: expected a list of outputs, got ${typeof cell.outputs}`)
  }
}

function splitTexts(nb: Notebook): Notebook {
  return { ...nb, cells: nb.cells.map(cell => ({ ...cell, source: splitLines(cell.source),
    ...(cell.outputs && { outputs: cell.outputs.map(splitOutput) }) })) }
}

function splitOutput(output: Output): Output {
  const { text, data } = output
  const split = ([mime, o]: [string, Json]) =>
    [mime, splitMimes.test(mime) && isLines(o) ? splitLines(o) : o]
  return { ...output, ...(text != null && { text: splitLines(text) }),
    ...(data && { data: Object.fromEntries(Object.entries(data).map(split)) }) }
}

function isLines(o: unknown): o is Lines {
  return typeof o === 'string' || Array.isArray(o) && o.every(line => typeof line === 'string')
}

function splitLines(lines: Lines): string[] {
  return joinLines(lines).match(/[^\n]*\n|[^\n]+$/g) ?? []
}

function sortKeys(o: Json): Json {
  if (Array.isArray(o)) return o.map(sortKeys)
  if (o === null || typeof o !== 'object') return o
  return Object.fromEntries(Object.keys(o).sort().map(k => [k, sortKeys(o[k])]))
}
