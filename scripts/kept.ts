/** Notebooks read for the export, kept in `.cache/export.json` until their bytes change. */
import { createHash } from 'crypto'
import * as fs from 'fs'
import * as path from 'path'
import { writeAtomic } from './atomic'
import { parseNotebook } from './notebook'
import type { Read } from './read'
import type { Project } from './settings'

type Kept = Record<string, { sum: string, read: Read }>

const readers = ['cells.ts', 'notebook.ts', 'read.ts', '../node_modules/typescript/package.json']

/** Read the notebooks `names` of a project, paths from its root; an unchanged one costs its sum. */
export function readKept({ root, lib, flags }: Project, names: string[]): Read[] {
  const cache = path.join(root, '.cache'), file = path.join(cache, 'export.json')
  const old = load(file), base = readersSum({ lib, flags }), now: Kept = {}
  for (const name of names) {
    const bytes = fs.readFileSync(path.join(root, name))
    const sum = createHash('sha256').update(base).update(bytes).digest('hex')
    now[name] = old[name]?.sum === sum ? old[name]
      : { sum, read: read(name, bytes.toString(), { lib, flags }) }
  }
  if (names.some(o => now[o] !== old[o])) {
    fs.mkdirSync(cache, { recursive: true })
    writeAtomic(file, JSON.stringify({ ...old, ...now }))
  }
  return names.map(o => now[o].read)
}

function read(name: string, text: string, names: { lib: string, flags: string[] }): Read {
  const notebook = parseNotebook(text, name)
  // loaded late: with it comes the compiler, which takes longer than all the rest
  const { readSource } = require('./read') as typeof import('./read')
  return readSource({ name, notebook }, names)
}

function load(file: string): Kept {
  // what is kept may always be made again
  try { return JSON.parse(fs.readFileSync(file, 'utf8')) } catch { return {} }
}

function readersSum(names: { lib: string, flags: string[] }) {
  const sum = createHash('sha256').update(JSON.stringify(names))
  for (const o of readers) sum.update(fs.readFileSync(path.join(__dirname, o)))
  return sum.digest('hex')
}
