/** Runs mocha over the tests, or over some notebooks only: `npm test -- 05 --slow --save`. */
import * as fs from 'fs'
import * as path from 'path'
import Mocha from 'mocha'
import { command } from './command'
import { openProject } from './settings'

/** What `tests/notebooks.test.ts` is asked for: words in names, flags, whether to store outputs. */
export interface Asked { words: string[], flags: string[], save: boolean }

/** What the command line asked for; mocha started otherwise runs everything. */
export function asked(): Asked {
  const list = (name: string) => (process.env[name] ?? '').split(' ').filter(Boolean)
  const save = Boolean(process.env.MINIAI_SAVE)
  return { words: list('MINIAI_WORDS'), flags: list('MINIAI_FLAGS'), save }
}

/** What `words` mean: `05` a notebook, `kernel` the test file of that name. */
export function chosen(all: string[], words: string[]): { files: string[], notebooks: string[] } {
  const named = (word: string) => all.filter(o => o.startsWith(word))
  const notebooks = words.filter(o => !named(o).length)
  const files = [...words.flatMap(named), ...notebooks.length ? ['notebooks.test.ts'] : []]
  return { files: words.length ? [...new Set(files)] : all, notebooks }
}

/** The last line of a test run. */
export function summary({ passes = 0, failures = 0, pending = 0 }: Partial<Mocha.Stats>): string {
  return `${passes} passed, ${failures} failed` + (pending ? `, ${pending} skipped` : '')
}

function runMocha(root: string, files: string[]) {
  const { timeout, reporter } = require(path.join(root, 'package.json')).mocha
  const mocha = new Mocha({ timeout, reporter })
  for (const o of files) mocha.addFile(path.join(root, 'tests', o))
  const runner = mocha.run(failures => {
    console.log(summary({ ...runner.stats, failures }))
    process.exit(failures ? 1 : 0)
  })
}

if (require.main === module) {
  const { root, flags } = openProject(path.dirname(__dirname)), options = flags.map(o => `--${o}`)
  command(['--save', ...options], (given, words) => {
    const all = fs.readdirSync(path.join(root, 'tests')).filter(o => o.endsWith('.test.ts')).sort()
    const { files, notebooks } = chosen(all, words), isSave = given.has('--save')
    process.env.MINIAI_WORDS = notebooks.join(' ')
    process.env.MINIAI_FLAGS = flags.filter(o => given.has(`--${o}`)).join(' ')
    process.env.MINIAI_SAVE = isSave ? 'yes' : ''
    runMocha(root, isSave ? ['notebooks.test.ts'] : files)
  })
}
