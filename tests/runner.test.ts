import assert from 'assert/strict'
import * as path from 'path'
import { codeCells, Output } from '../scripts/notebook'
import { Collector, difference, spoken } from '../scripts/outputs'
import {
  Compiler, inParallel, openCompiler, Report, RunOptions, runNotebook,
} from '../scripts/runner'
import { chosen, summary } from '../scripts/test'
import { notebook, project } from './project'

const { root } = project({}), cwd = path.join(root, 'nbs')
let shared: Compiler | undefined

type Options = Partial<RunOptions> & { stored?: Record<number, string> }

/** The report on a notebook of `cells`; `stored` are texts that they printed before, by number. */
async function report(cells: string[], { stored = {}, ...options }: Options = {}): Promise<Report> {
  const nb = notebook(...cells), known = ['slow', 'gpu']
  for (const { cell, number } of codeCells(nb)) {
    const text = stored[number]
    cell.outputs = text ? [{ output_type: 'stream', name: 'stdout', text }] : []
  }
  shared ??= openCompiler(root)
  return runNotebook(shared, nb, 'nbs/01_a.ipynb', { root, cwd, known, ...options })
}

it('runNotebook(nb): cells share their variables, and their outputs are given', async () => {
  const cells = ['# Title', 'const a: number = 1', 'console.log(a + 1)']
  const { failures, outputs } = await report(cells, { stored: { 2: '2\n' } })
  assert.deepEqual(failures, [])
  const printed = { output_type: 'stream', name: 'stdout', text: '2\n' }
  assert.deepEqual([...outputs.values()], [[], [printed]])
})

it('runNotebook(nb): a failure names notebook, cell, line, message, what is left', async () => {
  const { failures } = await report(['1', 'const b = 2\n  throw new Error("boom")', '3', '4'])
  assert.deepEqual(failures, [`nbs/01_a.ipynb, cell [2], line 2: throw new Error("boom")
    Error: boom
        at cell [2] line 2: throw new Error("boom")
(2 cells after it not run)`])
})

it('runNotebook(nb): a type error is a failure with its line', async () => {
  const { failures } = await report(['\nconst a: string = 1'])
  assert.match(failures[0], /, cell \[1\], line 2: const a: string = 1\n +TypeError: Type 'number'/)
})

it('runNotebook(nb): what goes to stderr is told', async () => {
  const { stderr, failures } = await report(['console.error("warned")', 'throw 1'])
  assert.equal(stderr, 'warned\n')
  assert.equal(failures.length, 1)
})

it('runNotebook(nb): a hanging cell is stopped at its limit, whether busy or waiting', async () => {
  for (const code of ['for (;;) {}', 'await new Promise(() => {})']) {
    const { failures } = await report([`let x = 1\n${code}`, 'x'], { limit: 0.5 })
    assert.match(failures[0], /cell \[1\].*\n +Timeout: stopped after 0\.5 s/)
    assert.match(failures[0], /\(1 cell after it not run\)/)
    if (code.startsWith('for')) assert.match(failures[0], /cell \[1\], line 2: for \(;;\) \{\}/)
  }
})

it('runNotebook(nb): rejections that nobody handles fail, also after the last cell', async () => {
  const lost = await report(['void Promise.reject(new Error("lost"))', '1'])
  assert.match(lost.failures[0], /cell \[1\].*\n +Error: lost/)
  const late = await report(['setTimeout(() => { throw new Error("late") }, 100)\nvoid 0'])
  assert.match(late.failures[0], /cell \[1\][^]*Error: late[^]*after the cell ended/)
})

it('runNotebook(nb): a process that dies is a failure with its reason', async () => {
  const { failures } = await report(['process.exit(1)'])
  assert.match(failures[0], /KernelDied: .*process\.exit\(1\) was called/)
})

it('runNotebook(nb): cells under flags not chosen and eval: false are left out', async () => {
  const cells = ['slow', 'gpu', 'eval: false', 'slow'].map(o => `//| ${o}\nthrow 1`)
  const { failures, skipped } = await report(cells)
  assert.deepEqual([failures, skipped], [[], ['slow', 'gpu', 'eval: false', 'slow']])
  assert.match((await report(cells, { flags: ['slow'] })).failures[0], /cell \[1\]/)
})

it('runNotebook(nb): text other than the stored one fails, unless the cell varies', async () => {
  const stored = { 1: 'a 1\n', 2: '0.50000001\n' }
  const { failures } = await report(['console.log("a", 2)', 'console.log(0.5)'], { stored })
  assert.equal(failures.length, 1)
  assert.match(failures[0], /cell \[1\]: the text differs .*\n +stored: a 1\n +now: a 2$/)
  const varying = '//| varies\nconsole.log(Math.random())'
  assert.deepEqual((await report([varying], { stored })).failures, [])
})

it('runNotebook(nb): text that is not stored is a failure', async () => {
  assert.match((await report(['"new"'])).failures[0], /stored: nothing\n +now: new$/)
})

for (const [a, b, isSame] of [
  ['loss 0.123456', 'loss 0.123457', true], ['loss 0.123', 'loss 0.124', false],
  ['1e-9', '0', true], ['1.5e-3', '1.6e-3', false], ['10000 items', '10001 items', false],
  ['[ 1, 2 ]', '[\n  1,\n  2\n]', true], ['a b', 'ab', false], ['x1', 'x2', false],
  ['NaN', 'NaN', true], ['NaN', '1.5', false], ['-0.5', '0.5', false], ['1.5', '1.5 2', false],
  ['', 'a', false],
] as const) {
  const title = `difference(${JSON.stringify(a)}, ${JSON.stringify(b)})`
  it(`${title} is ${isSame ? 'none' : 'found'}`, () => {
    assert.equal(difference(a, b) === undefined, isSame)
  })
}

it('Collector: streams are merged, a display keeps its last state where it stood first', () => {
  const outputs: Output[] = [], next: Output[] = [], collector = new Collector()
  const stream = (name: string, text: string) => ({ type: 'stream', content: { name, text } })
  const show = (type: string, text: string) =>
    ({ type, content: { data: { 'text/plain': text }, transient: { display_id: 'd' } } })
  const messages = [show('display_data', '0 %'), stream('stdout', 'a'), stream('stdout', 'b'),
    stream('stderr', 'c'), show('update_display_data', '50 %')]
  for (const o of messages) collector.add(outputs, o)
  collector.add(next, show('update_display_data', '100 %'))
  assert.deepEqual(next, [])
  assert.deepEqual(outputs, [
    { output_type: 'display_data', data: { 'text/plain': '100 %' }, metadata: {} },
    { output_type: 'stream', name: 'stdout', text: 'ab' },
    { output_type: 'stream', name: 'stderr', text: 'c' }])
  assert.equal(spoken(outputs).trim(), 'ab')
})

it('inParallel(xs, 2, f) has two at work, the next starts when one ends, in order', async () => {
  let busy = 0, most = 0
  const f = async (ms: number) => {
    most = Math.max(most, ++busy)
    await new Promise(resolve => setTimeout(resolve, ms))
    busy--
    if (ms === 5) throw new Error('five')
    return ms
  }
  const results = await Promise.allSettled(inParallel([30, 5, 10, 1], 2, f))
  assert.deepEqual(results.map(o => o.status === 'fulfilled' && o.value), [30, false, 10, 1])
  assert.equal(most, 2)
})

/** What a run finds wrong with an exercise that has `solution` for its solution. */
async function wrong(solution: string): Promise<string[]> {
  const check = `function check(name: string, f: () => void) {
    try { f(); console.log('✓ ' + name) } catch (e) {
      console.log('· ' + name + ': not yet. ' + e.message)
    }
  }`
  const cells = [check, 'const two = () => 1 // your turn',
    'check("two", () => { if (two() !== 2) throw new Error("not two") })',
    `# \n<details><summary>A solution</summary>\n\n${solution}\n\n</details>`]
  const stored = { 3: '· two: not yet. not two\n' }
  return (await report(cells, { stored, solve: true })).failures
}

it('runNotebook(nb, { solve }) tries each solution, and its checks must pass', async () => {
  assert.deepEqual(await wrong('    const two = () => 2'), [])
  const remark = '(with the solution below it in the place of the exercise)'
  assert.deepEqual(await wrong('    const two = () => 3'),
    [`nbs/01_a.ipynb, cell [3]: · two: not yet. not two\n${remark}`])
  const [typed] = await wrong('    const two = (): string => 2')
  assert.match(typed, /cell \[2\], line 1: .*\n +TypeError/)
})

it('summary(stats) is one line, which counts what was skipped', () => {
  assert.equal(summary({ passes: 3, failures: 1, pending: 0 }), '3 passed, 1 failed')
  assert.equal(summary({ passes: 3, failures: 0, pending: 2 }), '3 passed, 0 failed, 2 skipped')
})

it('chosen(all, words) takes test files by their names, anything else for a notebook', () => {
  const all = ['export.test.ts', 'kernel.test.ts', 'notebooks.test.ts']
  assert.deepEqual(chosen(all, []), { files: all, notebooks: [] })
  assert.deepEqual(chosen(all, ['kernel']), { files: ['kernel.test.ts'], notebooks: [] })
  const both = { files: ['export.test.ts', 'notebooks.test.ts'], notebooks: ['05'] }
  assert.deepEqual(chosen(all, ['05', 'exp']), both)
})
