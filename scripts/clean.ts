/**
 * `npm run clean`: takes out of notebooks what changes by itself, counts and editors' metadata.
 *
 * Outputs stay: they are part of the page, and the tests compare them. Options: `--check` writes
 * nothing and fails where a notebook is not clean; a word such as `05` takes the notebooks it
 * matches; `-` cleans standard input to standard output, as git's filter does; `--install` sets up
 * git for this clone (see hooks.ts).
 */
import { createHash } from 'crypto'
import * as fs from 'fs'
import * as path from 'path'
import { sweep, writeAtomic } from './atomic'
import { command } from './command'
import { installHooks } from './hooks'
import { Cell, Notebook, Output, cellSource, codeCells, formatNotebook, joinLines,
  parseNotebook } from './notebook'
import { Project, notebookNames, openProject } from './settings'

type Dict = Notebook['metadata']

const giant = 1e6

/** A notebook in the form that belongs into git; cleaning it again changes nothing. */
export function cleanNotebook(nb: Notebook): Notebook {
  const { kernelspec, language_info } = nb.metadata as { [key: string]: Dict | undefined }
  const taken = new Set(nb.cells.map(o => o.id)), seen = new Set<string>()
  const cells = nb.cells.map((cell, i) => {
    const isGood = /^[\w-]{1,64}$/.test(cell.id ?? '') && !seen.has(cell.id!)
    const id = isGood ? cell.id! : newId(cell, i, taken)
    seen.add(id)
    return { ...cleanCell(cell), id }
  })
  return { cells, nbformat: 4, nbformat_minor: Math.max(5, nb.nbformat_minor), metadata: {
    ...kernelspec && { kernelspec: pick(kernelspec, ['display_name', 'language', 'name']) },
    ...language_info && {
      language_info: pick(language_info, ['file_extension', 'mimetype', 'name']) }
  } }
}

/** Outputs as a reader sees them: pieces of one stream joined, overwritten lines gone. */
export function cleanOutputs(outputs: Output[]): Output[] {
  const joined: Output[] = []
  for (const o of outputs) {
    const last = joined.at(-1), isMore = o.output_type === 'stream'
      && last?.output_type === 'stream' && last.name === o.name
    if (isMore) last.text = joinLines(last.text ?? '') + joinLines(o.text ?? '')
    else joined.push({ ...o })
  }
  return joined.map(o => ({ ...o,
    ...o.text != null && { text: overwritten(joinLines(o.text)) },
    ...o.data && { data: withoutSnapshot(o.data) },
    ...o.metadata && { metadata: pick(o.metadata, Object.keys(o.metadata).filter(isMime)) },
    ...o.output_type === 'execute_result' && { execution_count: null } }))
}

/** What no cleaning can mend, one sentence each: failed cells, names of this machine's folders. */
export function faults(nb: Notebook, { name, root }: { name: string, root: string }): string[] {
  return codeCells(nb).flatMap(({ cell, number }) => {
    const outputs = cell.outputs ?? [], failed = outputs.find(o => o.output_type === 'error')
    const place = `${name}, cell ${number}`, isLocal = JSON.stringify(outputs).includes(root)
    return [...failed ? [`${place}: saved with an error, ${failed.ename}: ${failed.evalue}`] : [],
      ...isLocal ? [`${place}: its output names the folder ${root} of this machine`] : []]
  })
}

/** Cells whose outputs make the notebook heavy to load and to keep in git: one sentence each. */
export function heavyCells(nb: Notebook, name: string): string[] {
  return codeCells(nb).map(o => ({ ...o, size: JSON.stringify(o.cell.outputs ?? []).length }))
    .filter(o => o.size > giant)
    .map(o => `${name}, cell ${o.number}: outputs of ${(o.size / 1e6).toFixed(1)} MB`)
}

/** Clean a project's notebooks; returns the names of those it changed, or refuses with `check`. */
export function cleanProject(project: Project,
  { words = [] as string[], check = false } = {}): string[] {
  const { root, nbs } = project
  const read = notebookNames(project, words).map(name => {
    const text = fs.readFileSync(path.join(root, name), 'utf8')
    const nb = cleanNotebook(parseNotebook(text, name)), clean = formatNotebook(nb)
    return { name, nb, clean, isDirty: clean !== text }
  })
  const dirty = read.filter(o => o.isDirty), names = dirty.map(o => o.name)
  for (const o of read.flatMap(({ nb, name }) => heavyCells(nb, name))) console.warn(o)
  if (check) {
    const found = read.flatMap(({ nb, name }) => faults(nb, { name, root }))
    if (names.length) found.unshift(`run "npm run clean": it would change ${names.join(', ')}`)
    if (found.length) throw new Error(found.join('\n'))
  } else {
    sweep(path.join(root, nbs))
    for (const o of dirty) writeAtomic(path.join(root, o.name), o.clean)
  }
  return names
}

function cleanCell({ cell_type, source, metadata, outputs, attachments }: Cell): Cell {
  return { cell_type, source, metadata: cleanMetadata(metadata ?? {}),
    ...cell_type === 'code' && { execution_count: null, outputs: cleanOutputs(outputs ?? []) },
    ...attachments && Object.keys(attachments).length && { attachments } }
}

function cleanMetadata(metadata: Dict): Dict {
  const { tags, slideshow, jupyter } = metadata as { [key: string]: Dict | undefined }
  return { ...tags && Object.keys(tags).length && { tags }, ...slideshow && { slideshow },
    ...jupyter?.source_hidden && { jupyter: { source_hidden: true } } }
}

function newId(cell: Cell, i: number, taken: Set<string | undefined>) {
  for (let n = 0; ; n++) {
    const text = `${cell.cell_type} ${i} ${n} ${cellSource(cell)}`
    const id = createHash('sha256').update(text).digest('hex').slice(0, 8)
    if (!taken.has(id)) return taken.add(id) && id
  }
}

// a progress bar writes over its line with \r: what the terminal would show at the end
function overwritten(text: string) {
  return text.split('\n').map(line => line.split('\r').reduce((shown, o) =>
    o + shown.slice(o.length), '')).join('\n')
}

// the lab adds a photograph of each chart that it has drawn, another one each time
function withoutSnapshot(data: NonNullable<Output['data']>) {
  const { 'image/png': _, ...rest } = data
  return 'application/vnd.plotly.v1+json' in data && 'image/svg+xml' in data ? rest : data
}

function isMime(key: string) { return key.includes('/') }

function pick(from: Dict, keys: string[]): Dict {
  return Object.fromEntries(keys.filter(k => k in from).map(k => [k, from[k]]))
}

if (require.main === module) {
  void command(['--check', '--install'], (flags, words) => {
    if (words.includes('-')) {
      const nb = parseNotebook(fs.readFileSync(0, 'utf8'), 'standard input')
      return void process.stdout.write(formatNotebook(cleanNotebook(nb)))
    }
    const project = openProject(), check = flags.has('--check')
    if (flags.has('--install')) return installHooks(project.root)
    const names = cleanProject(project, { words, check }).join(', ')
    console.log(`clean: ${names || 'nothing to change'}`)
  })
}
