import * as path from 'path'
import { cleanNotebook } from '../scripts/clean'
import { codeCells, Output, readNotebook, writeNotebook } from '../scripts/notebook'
import { Collector } from '../scripts/outputs'
import { changed, Compiler, failure, inParallel, openCompiler, Report, runNotebook, skipReason } from '../scripts/runner'
import { notebookNames, openProject } from '../scripts/settings'
import { asked } from '../scripts/test'

const { startKernel } = require('../scripts/kernel/client.cjs')

const project = openProject(path.join(__dirname, '..')), { root, nbs } = project
const { words, flags, save } = asked()
const names = notebookNames(project, words), cwd = path.join(root, nbs)
const options = { root, cwd, known: project.flags, flags }
const skipped: string[] = []
let compiler: Compiler, reports: Promise<Report>[]

before(function () {
  this.timeout(0)
  compiler = openCompiler(root)
  reports = inParallel(names, 2, name => runNotebook(compiler, readNotebook(path.join(root, name), name), name, options))
  for (const o of reports) o.catch(() => {}) // each has a test that awaits it
})

after(() => {
  compiler.close()
  const count = (flag: string) => `${flag} ${skipped.filter(o => o === flag).length}`
  if (skipped.length) console.log(`  cells left out: ${[...new Set(skipped)].map(count).join(', ')}`)
})

/** Fail with `message` alone: where in this file it was noticed tells nobody anything. */
function fail(message: string): never { throw Object.assign(new Error(message), { stack: message }) }

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
    const { failures, skipped: left, outputs, stderr } = await reports[i]
    skipped.push(...left)
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
