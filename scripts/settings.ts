/** Reads `settings.ini`, nbdev's file: the one place for the project's names and paths. */
import * as fs from 'fs'
import * as path from 'path'
import { notebookPaths } from './notebook'

/** The folder of the nearest `settings.ini`, at `from` or above it. */
export function projectRoot(from = process.cwd()): string {
  for (let dir = path.resolve(from); ; dir = path.dirname(dir)) {
    if (fs.existsSync(path.join(dir, 'settings.ini'))) return dir
    if (dir === path.dirname(dir)) throw new Error(`no settings.ini in ${from} or above it`)
  }
}

/** `key = value` lines of an ini text; an indented line goes on with the value before it. */
export function parseSettings(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  let key = ''
  for (const line of text.split(/\r?\n/)) {
    const pair = /^([\w.-]+)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (pair) found[key = pair[1]] = pair[2]
    else if (key && /^\s+[^\s#;]/.test(line)) found[key] = `${found[key]}\n${line.trim()}`.trim()
  }
  return found
}

/** The settings of the project at `root`. */
export function settings(root = projectRoot()): Record<string, string> {
  return parseSettings(fs.readFileSync(path.join(root, 'settings.ini'), 'utf8'))
}

/** Where a project keeps its notebooks and its library, both relative to `root`. */
export interface Project { root: string, nbs: string, lib: string, flags: string[] }

/** The project that `root` holds, by its settings. */
export function openProject(root = projectRoot()): Project {
  const { nbs_path = 'nbs', lib_path = 'miniai', tst_flags = '' } = settings(root)
  return { root, nbs: nbs_path, lib: lib_path, flags: tst_flags.split(/\s+/).filter(Boolean) }
}

/**
 * The names of a project's notebooks that match one of `words`, in the order of their numbers:
 * `07` is the notebook of that number, not 07a too; other words stand anywhere in a name.
 */
export function notebookNames({ root, nbs }: Project, words: string[] = []): string[] {
  const all = notebookPaths(path.join(root, nbs)).map(o => path.posix.join(nbs, path.basename(o)))
  const matching = (word: string) => {
    const exact = all.filter(o => path.basename(o).split('_')[0] === word)
    return exact.length ? exact : all.filter(o => o.includes(path.basename(word)))
  }
  const wanted = new Set(words.length ? words.flatMap(matching) : all)
  if (!wanted.size && words.length) throw new Error(`no notebook matches ${words.join(' ')}`)
  return all.filter(o => wanted.has(o))
}
