/** Runs mocha over the tests, or over some notebooks only: `npm test -- 05 --slow --save`. */
import * as fs from 'fs'
import * as path from 'path'
import Mocha from 'mocha'
import { command } from './command'
import { openProject } from './settings'

/** What `tests/notebooks.test.ts` is asked for: words in the names of notebooks, flags, and whether to store outputs. */
export interface Asked { words: string[], flags: string[], save: boolean }

/** What the command line asked for; without one, everything. */
export function asked(): Asked {
  return JSON.parse(process.env.MINIAI_TEST ?? '{"words":[],"flags":[],"save":false}')
}

/** The last line of a test run. */
export function summary({ passes, failures, pending }: { passes: number, failures: number, pending: number }): string {
  return `${passes} passed, ${failures} failed` + (pending ? `, ${pending} skipped` : '')
}

function runMocha({ words, save }: Asked, root: string) {
  const { timeout, reporter } = require(path.join(root, 'package.json')).mocha
  const mocha = new Mocha({ timeout, reporter })
  const all = fs.readdirSync(path.join(root, 'tests')).filter(o => o.endsWith('.test.ts')).sort()
  const files = words.length || save ? ['notebooks.test.ts'] : all
  for (const o of files) mocha.addFile(path.join(root, 'tests', o))
  const runner = mocha.run(failures => {
    const { passes = 0, pending = 0 } = runner.stats ?? {}
    console.log(summary({ passes, failures, pending }))
    process.exit(failures ? 1 : 0)
  })
}

if (require.main === module) {
  const { root, flags } = openProject(path.dirname(__dirname)), options = flags.map(o => `--${o}`)
  command(['--save', ...options], (given, words) => {
    const what = { words, flags: flags.filter(o => given.has(`--${o}`)), save: given.has('--save') }
    process.env.MINIAI_TEST = JSON.stringify(what)
    runMocha(what, root)
  })
}
