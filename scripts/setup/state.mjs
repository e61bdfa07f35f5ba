// Where things lie, and what is done: `.cache/setup.json` has the key of each finished step.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
export const at = (...parts) => join(root, ...parts)
export const read = path => readFileSync(at(path), 'utf8')
export const sha = text => createHash('sha256').update(text).digest('hex').slice(0, 16)
export const isWindows = process.platform === 'win32'

const statePath = '.cache/setup.json'

/** A part that cannot be had here; the course goes on without it. */
export class Missing extends Error {}

/** A part that nobody makes for such a machine: asking again is of no use until its key changes. */
export class Refused extends Missing {}

export function put(path, text) {
  mkdirSync(dirname(at(path)), { recursive: true })
  writeFileSync(at(path + '.part'), text)
  renameSync(at(path + '.part'), at(path))
}

export function state() {
  try { return JSON.parse(read(statePath)) } catch { return {} }
}

const save = entries => put(statePath, JSON.stringify(entries, null, 2) + '\n')

export function remember(id, key) { save({ ...state(), [id]: key }) }

export function forget(...ids) {
  const gone = ids.flatMap(id => [id, refused(id)])
  save(Object.fromEntries(Object.entries(state()).filter(([id]) => !gone.includes(id))))
}

/** The name under which a step's refusal is remembered. */
export const refused = id => `${id} refused`

export const isDone = step => state()[step.id] === step.key() && step.there()

/** Why a step was refused for good, if it was. */
export function refusal(step) {
  const { key, why } = state()[refused(step.id)] ?? {}
  return key === step.key() ? why : undefined
}
