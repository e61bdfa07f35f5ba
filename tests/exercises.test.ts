import assert from 'assert/strict'
import * as path from 'path'
import { exercises } from '../scripts/exercises'
import { readNotebook } from '../scripts/notebook'
import { spoken } from '../scripts/outputs'
import { notebookNames, openProject } from '../scripts/settings'
import { notebook } from './project'

const repo = openProject(path.join(__dirname, '..'))
const fold = (code: string) => `# \n<details><summary>A solution</summary>\n\n${code}\n\n</details>`
const task = 'const two = () => 1 // your turn'
const check = 'check("two", () => { if (two() !== 2) throw new Error("not two") })'

it('exercises(nb) finds the learner\'s cell, its checks, and the folded code below', () => {
  const words = fold('In words:\n\n    a\n\n      b')
  const nb = notebook('1', task, check, '2\ncheck()', words)
  const [found] = exercises(nb, 'x')
  assert.deepEqual([found.task.number, found.solution], [2, 'a\n\n  b'])
  assert.deepEqual(found.checks.map(o => o.number), [3, 4])
  assert.deepEqual(exercises(notebook(task, '# prose', fold('only words')), 'x'), [])
})

it('exercises(nb) refuses a solution without a cell and a check right above it', () => {
  const message = /^x: the solution "a = 1" wants a cell and its check right above it$/
  for (const cells of [[task], [check], [task, check, '# prose between']]) {
    assert.throws(() => exercises(notebook(...cells, fold('    a = 1')), 'x'), { message })
  }
})

/** What the checks of an exercise say in the stored notebook. */
const stored = ({ checks }: ReturnType<typeof exercises>[0]) =>
  checks.map(o => spoken(o.cell.outputs ?? [])).join('\n')

for (const name of notebookNames(repo).filter(o => /\/\d\d_/.test(o))) {
  it(`${name} ends with exercises, unsolved, and their checks see it`, () => {
    const found = exercises(readNotebook(path.join(repo.root, name), name), name)
    assert.ok(found.length, 'no cell with a check and a folded solution in code below it')
    for (const o of found) assert.match(stored(o), /^· /m, o.task.source)
  })
}
