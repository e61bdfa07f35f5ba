import * as fs from 'fs'
import * as path from 'path'
import { cleanNotebook } from '../scripts/clean'
import { codeCells, Output, readNotebook, writeNotebook } from '../scripts/notebook'
import { Collector } from '../scripts/outputs'
import {
  changed, failure, inParallel, openCompiler, Report, runNotebook, skipReason,
} from '../scripts/runner'
import { notebookNames, openProject } from '../scripts/settings'
import { asked } from '../scripts/test'

const { startKernel } = require('../scripts/kernel/client.cjs')

const project = openProject(path.join(__dirname, '..')), { root, nbs, lib } = project
const { words, flags, save } = asked()
const names = notebookNames(project, words), cwd = path.join(root, nbs)
const options = { root, cwd, known: project.flags, flags, solve: true }

/** The first test starts them all, two at a time. */
let started: Promise<Report>[] | undefined
function reports() {
  if (started) return started
  const library = path.join(root, lib)
  const modules = fs.readdirSync(library).filter(o => o.endsWith('.ts')).sort()
  const compiler = openCompiler(root, modules.map(o => path.join(library, o)))
  const read = (name: string) => readNotebook(path.join(root, name), name)
  started = inParallel(names, 2, async name => runNotebook(compiler, read(name), name, options))
  for (const o of started) o.catch(() => {}) // each has a test that awaits it
  return started
}

/** What a run left out, for its title, e.g. ` (left out: slow 2)`. */
function leftOut(flags: string[]) {
  const counts = [...new Set(flags)].map(flag => `${flag} ${flags.filter(o => o === flag).length}`)
  return counts.length ? ` (cells left out: ${counts.join(', ')})` : ''
}

/** Fail with `message` alone: where in this file it was noticed tells nobody anything. */
function fail(message: string): never {
  throw Object.assign(new Error(message), { stack: message })
}

/** Store the outputs of a run in the notebook's file. */
function store(name: string, outputs: Report['outputs']) {
  const nb = readNotebook(path.join(root, name), name)
  const fresh = new Map([...outputs].map(([{ number }, o]) => [number, o]))
  for (const { cell, number } of codeCells(nb)) cell.outputs = fresh.get(number) ?? cell.outputs
  writeNotebook(path.join(root, name), cleanNotebook(nb))
}

for (const [i, name] of names.entries()) {
  it(`${name} runs and says what is stored`, async function () {
    this.timeout(0)
    const { failures, skipped, outputs, stderr } = await reports()[i]
    this.test!.title += leftOut(skipped)
    const serious = save ? failures.filter(o => !o.includes('npm test -- --save')) : failures
    if (save && !serious.length) store(name, outputs)
    else if (serious.length) fail(serious.join('\n\n') + (stderr && `\n\nstderr:\n${stderr}`))
  })
}

/** The notebooks that also run through the kernel itself: 01 and 05, or the first two. */
function throughKernel() {
  const wanted = names.filter(o => /^0[15]_/.test(path.basename(o)))
  return save ? [] : wanted.length === 2 ? wanted : names.slice(0, 2)
}

for (const name of throughKernel()) {
  it(`${name} runs in the kernel, over its sockets`, async function () {
    this.timeout(0)
    const kernel = await startKernel({ kernel: path.join(root, 'scripts', 'kernel.cjs'), cwd })
    const collector = new Collector()
    try {
      for (const cell of codeCells(readNotebook(path.join(root, name), name))) {
        if (skipReason(cell.source, options)) continue
        const { reply, outputs } = await kernel.execute(cell.source), fresh: Output[] = []
        for (const o of outputs) collector.add(fresh, o)
        if (reply.status !== 'ok') fail(failure(name, cell, reply))
        const diff = changed(cell, fresh)
        if (diff) fail(`${name}, cell [${cell.number}]: ${diff}`)
      }
    } finally { await kernel.close() }
  })
}
