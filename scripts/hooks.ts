/**
 * `npm run clean -- --install`: sets up git for notebooks, in this clone only.
 *
 * A filter cleans each notebook as it is added; `git diff` and `git merge` see cells instead of
 * JSON, through nbdime; and a commit is stopped where the modules differ from the notebooks.
 */
import { execFileSync } from 'child_process'
import * as fs from 'fs'
import * as path from 'path'
import { writeAtomic } from './atomic'

const sign = '# made by "npm run clean -- --install"'

/** Configure the clone at `root`; a second call changes nothing. */
export function installHooks(root: string): void {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  const bin = process.platform === 'win32' ? '.venv/Scripts' : '.venv/bin'
  const names = fs.existsSync(path.join(root, bin)) ? fs.readdirSync(path.join(root, bin)) : []
  const hasNbdime = names.some(o => o.startsWith('git-nbmergedriver'))
  const hook = path.resolve(root, git('rev-parse', '--git-path', 'hooks'), 'pre-commit')
  if (fs.existsSync(hook) && !fs.readFileSync(hook, 'utf8').includes(sign)) {
    throw new Error(`${hook} is not ours: add "npm run -s export -- --check" to it yourself`)
  }
  git('config', 'filter.notebook.clean', 'node -r ./scripts/load.cjs scripts/clean.ts -')
  if (hasNbdime) {
    git('config', 'diff.jupyternotebook.command', `${bin}/git-nbdiffdriver diff -M -D`)
    git('config', 'merge.jupyternotebook.name', 'nbdime')
    git('config', 'merge.jupyternotebook.driver', `${bin}/git-nbmergedriver merge %O %A %B %L %P`)
  }
  const drivers = hasNbdime ? ' diff=jupyternotebook merge=jupyternotebook' : ''
  addAttributes(path.resolve(root, git('rev-parse', '--git-path', 'info/attributes')), drivers)
  fs.mkdirSync(path.dirname(hook), { recursive: true })
  writeAtomic(hook, `#!/bin/sh\n${sign}\nexec npm run -s export -- --check\n`)
  fs.chmodSync(hook, 0o755)
  console.log('git now cleans notebooks as they are added and checks the export before a commit')
  console.log(hasNbdime ? 'git diff and git merge show notebooks through nbdime'
    : 'nbdime is not in .venv: run "npm run setup" and this again for diffs of notebooks')
}

function addAttributes(file: string, drivers: string) {
  const old = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
  const others = old.split('\n').filter(o => o && !o.startsWith('*.ipynb filter=notebook'))
  fs.mkdirSync(path.dirname(file), { recursive: true })
  writeAtomic(file, [...others, `*.ipynb filter=notebook${drivers}`].join('\n') + '\n')
}
