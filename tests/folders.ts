/** Temporary folders: gone when the tests end, and those of a killed run when the next begins. */
import { mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAlive } from '../scripts/atomic'

const remove = (path: string) => rmSync(path, { recursive: true, force: true, maxRetries: 5 })
const made: string[] = []
process.on('exit', () => made.forEach(remove))
for (const name of readdirSync(tmpdir())) {
  const pid = Number(/^miniai-test-(\d+)-/.exec(name)?.[1] ?? process.pid)
  if (!isAlive(pid)) remove(join(tmpdir(), name))
}

/** A new, empty folder. */
export function temporary(): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), `miniai-test-${process.pid}-`)))
  made.push(path)
  return path
}
