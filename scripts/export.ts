/**
 * `npm run export`: writes the library's modules from the notebooks' cells.
 *
 * A cell asks for it in its first lines:
 *
 *     //| default_exp name   the notebook's module, said once
 *     //| export [module]    the cell goes into the module, its names become public
 *     //| exports            the same (nbdev shows its source in the documentation)
 *     //| exporti            the cell goes into the module, its names stay inside
 *     //| reexport a, b      imported names that the module passes on, e.g. a namespace
 *
 * `export` is added to each top-level declaration whose name does not begin with `_`. A module's
 * imports are those of its export cells, merged; `miniai/name` becomes `./name`. A library to be
 * passed on under one name is imported in an export cell and named again:
 *
 *     //| export
 *     //| reexport tf
 *     import * as tf from '@tensorflow/tfjs-core'
 *
 * Options: `--check` writes nothing and fails where a module differs; `--watch` exports on each
 * save; `--no-types` leaves the type check out; a word such as `05` takes the notebooks it matches.
 */
import * as fs from 'fs'
import * as path from 'path'
import { sweep, writeAtomic } from './atomic'
import { command } from './command'
import { readKept } from './kept'
import { Module, buildModules, headNotebooks, indexOf, indexText, isSameBody,
  isUntouched } from './module'
import { parseJson } from './notebook'
import { Project, notebookNames, openProject } from './settings'
import { typeErrors } from './types'

/** What an export does to the disk: names of files in the library's folder. */
export interface Changes { write: Map<string, string>, remove: string[] }

/** The modules of the library as they are on the disk: name of the file → text. */
export function libraryTexts({ root, lib }: Project): Map<string, string> {
  const folder = path.join(root, lib)
  const names = fs.existsSync(folder) ? fs.readdirSync(folder).sort() : []
  return new Map(names.filter(o => /\.ts$|^_index\.json$/.test(o)).map(o =>
    [o, fs.readFileSync(path.join(folder, o), 'utf8').replace(/\r\n/g, '\n')]))
}

/** The modules of the notebooks that match one of `words` (all of them without words). */
export function modulesOf(project: Project, words: string[] = []): Module[] {
  const { lib } = project, all = notebookNames(project)
  if (!words.length) return buildModules(readKept(project, all), { lib })
  const owners = new Map<string, string>(), heads = new Map<string, string[]>()
  for (const [file, text] of libraryTexts(project)) {
    const from = headNotebooks(text, lib) ?? []
    heads.set(file, from)
    if (from.length) owners.set(path.basename(file, '.ts'), from[0])
  }
  const names = new Set(notebookNames(project, words))
  for (;;) { // a module of several notebooks wants them all
    const read = readKept(project, all.filter(o => names.has(o)))
    const modules = buildModules(read, { lib, owners }), before = names.size
    for (const n of modules.flatMap(o => heads.get(`${o.name}.ts`) ?? [])) {
      if (all.includes(n)) names.add(n)
    }
    if (names.size === before) return modules
  }
}

/** What has to change on the disk; refused where it would lose what somebody wrote there. */
export function changes(modules: Module[], old: Map<string, string>,
  { lib, whole = true }: { lib: string, whole?: boolean }): Changes {
  const texts = new Map(modules.map(o => [`${o.name}.ts`, o.text]))
  const made = [...old].filter(([name, text]) => name.endsWith('.ts') && headNotebooks(text, lib))
  const remove = whole ? made.map(([name]) => name).filter(o => !texts.has(o)) : []
  for (const name of [...texts.keys(), ...remove]) {
    const text = old.get(name), now = texts.get(name) ?? ''
    if (text === undefined || isSameBody(text, now) || isUntouched(text)) continue
    throw new Error(headNotebooks(text, lib)
      ? `${lib}/${name} was edited by hand: "npm run update" takes the edits back into the `
        + 'notebook, or delete the file to drop them'
      : `${lib}/${name} was not made by export: move the file away`)
  }
  const index = whole ? {} : parseJson(old.get('_index.json') ?? '{}', `${lib}/_index.json`)
  const kept = Object.entries(index as Record<string, string>)
    .filter(([key]) => !texts.has(`${key.split('.')[0]}.ts`))
  const symbols = [...kept, ...Object.entries(indexOf(modules))]
  const sorted = Object.fromEntries(symbols.sort(([a], [b]) => a < b ? -1 : 1))
  texts.set('_index.json', indexText(sorted))
  return { write: new Map([...texts].filter(([k, o]) => old.get(k) !== o)), remove }
}

/** Export a project: build all, check all, then write what changed. Returns the changes. */
export function exportProject(project: Project,
  { words = [] as string[], check = false, types = true } = {}): Changes {
  const { root, lib } = project, folder = path.join(root, lib)
  const modules = modulesOf(project, words)
  const old = libraryTexts(project), whole = !words.length
  const todo = changes(modules, old, { lib, whole })
  const others = new Map(whole ? [] : [...old].filter(([file]) => file.endsWith('.ts')))
  const errors = types ? typeErrors(modules, { root, others }) : []
  if (errors.length) throw new Error(errors.join('\n'))
  if (check) return todo
  fs.mkdirSync(folder, { recursive: true })
  sweep(folder)
  for (const [name, text] of todo.write) writeAtomic(path.join(folder, name), text)
  for (const name of todo.remove) fs.rmSync(path.join(folder, name))
  return todo
}

function report({ lib }: Project, { write, remove }: Changes) {
  const names = [...write.keys()].map(o => `${lib}/${o}`)
  const gone = remove.map(o => `${lib}/${o} (removed)`)
  return [...names, ...gone].join(', ') || 'nothing to change'
}

function watch(project: Project, again: () => void) {
  let timer: NodeJS.Timeout | undefined
  fs.watch(path.join(project.root, project.nbs), (_, name) => {
    if (name && !name.endsWith('.ipynb')) return
    clearTimeout(timer)
    timer = setTimeout(again, 100)
  })
}

if (require.main === module) {
  const known = ['--check', '--watch', '--no-types']
  void command(known, (flags, words) => {
    const project = openProject(), check = flags.has('--check'), types = !flags.has('--no-types')
    const once = () => {
      const todo = exportProject(project, { words, check, types })
      const said = report(project, todo), isSame = !todo.write.size && !todo.remove.length
      if (check && !isSame) throw new Error(`run "npm run export": it would change ${said}`)
      console.log(`export: ${said}`)
    }
    const tell = () => { try { once() } catch (e) { console.error((e as Error).message) } }
    if (!flags.has('--watch')) return once()
    watch(project, tell) // first, so that no save is missed meanwhile
    tell()
  })
}
