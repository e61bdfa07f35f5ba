import * as assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { cleanNotebook, cleanProject } from '../scripts/clean'
import { exportProject } from '../scripts/export'
import { formatNotebook } from '../scripts/notebook'
import { Project } from '../scripts/settings'
import { files, notebook, project, write } from './project'

const home = path.join(__dirname, '..')
const kills = 50
const names = Array.from({ length: 12 }, (_, i) => `${10 + i}_m${i}`)

/** Run a tool and kill it: `delay` ms from its start, or from the first file it begins to write. */
async function killed({ root }: Project, args: string[], { folder = '', delay = 0 }) {
  const child = spawn(process.execPath, ['-r', path.join(home, 'scripts/load.cjs'), ...args],
    { cwd: root, stdio: 'ignore' })
  const gone = new Promise<boolean>(done => {
    child.on('exit', (_, signal) => done(signal === 'SIGKILL'))
  })
  let timer: NodeJS.Timeout | undefined
  const kill = () => { timer ??= setTimeout(() => child.kill('SIGKILL'), delay) }
  const watcher = folder ? fs.watch(path.join(root, folder), kill) : undefined
  if (!folder) kill()
  const isKilled = await gone
  watcher?.close()
  clearTimeout(timer)
  return isKilled
}

/** How long a tool takes when nobody kills it: ms. */
async function duration(p: Project, args: string[]) {
  const start = performance.now()
  await killed(p, args, { delay: 60000 })
  return performance.now() - start
}

const parts = (o: Record<string, string>) => Object.keys(o).filter(name => name.endsWith('.part'))

/** Kill `args` at `kills` moments; each file must be the one from before or the one from after. */
async function survives(p: Project, args: string[], { folder, prepare, finish }: { folder: string,
  prepare: (i: number) => void, finish: () => void }) {
  prepare(0)
  const whole = await duration(p, args)
  let count = 0, torn = 0
  for (let i = 1; count < kills; i++) {
    prepare(i)
    const before = files(p), isInside = i % 3 > 0
    const delay = isInside ? Math.random() ** 2 * 30 : Math.random() * whole
    if (await killed(p, args, { folder: isInside ? folder : '', delay })) count++
    const found = files(p)
    finish()
    const after = files(p)
    assert.deepEqual(parts(after), [], 'the next run removes temporary files')
    const kept = Object.keys(found).filter(o => !o.endsWith('.part'))
    for (const name of kept) {
      assert.ok([before[name], after[name]].includes(found[name]), `${name} is neither old nor new`)
    }
    const isOld = kept.every(o => found[o] === before[o])
    const isNew = kept.every(o => found[o] === after[o])
    if (parts(found).length || !isOld && !isNew) torn++
  }
  assert.ok(torn >= 10, `${torn} runs were killed while they wrote`)
}

it('export killed at 50 moments: each module is old or new, the next run completes', async () => {
  const p = project({})
  const prepare = (i: number) => {
    for (const name of names) {
      write(p.root, name, [`//| default_exp ${name.slice(3)}`, `//| export\nconst a = ${i}`,
        `//| export\n/** ${'long '.repeat(2000)}*/\nconst b = 1`])
    }
  }
  prepare(0)
  exportProject(p, { types: false })
  const args = [path.join(home, 'scripts/export.ts'), '--no-types']
  const finish = () => void exportProject(p, { types: false })
  await survives(p, args, { folder: 'miniai', prepare, finish })
})

it('clean killed at 50 moments: each notebook is old or new, the next run completes', async () => {
  const p = project({})
  const dirty = (i: number) => {
    const nb = notebook(`${i}`, ...Array.from({ length: 200 }, (_, k) => `${k} `.repeat(50)))
    return JSON.stringify({ ...nb, metadata: { count: i } })
  }
  const file = (name: string) => path.join(p.root, 'nbs', `${name}.ipynb`)
  let last = 0
  const prepare = (i: number) => {
    last = i
    for (const name of names) fs.writeFileSync(file(name), dirty(i))
  }
  const finish = () => {
    cleanProject(p)
    const clean = formatNotebook(cleanNotebook(JSON.parse(dirty(last))))
    for (const name of names) assert.equal(fs.readFileSync(file(name), 'utf8'), clean)
  }
  await survives(p, [path.join(home, 'scripts/clean.ts')], { folder: 'nbs', prepare, finish })
})
