/**
 * `npm run train -- 08`: runs a notebook at full size without the lab.
 *
 * What it trains lies in `runs/NN_name`: the models, the log of what the cells said, and while it
 * runs the checkpoints from which the next start goes on after a kill, in the same log.
 */
import * as fs from 'fs'
import * as path from 'path'
import { command } from './command'
import { CodeCell, codeCells, Output, readNotebook } from './notebook'
import { Message, spoken } from './outputs'
import { openCompiler, runNotebook } from './runner'
import { notebookNames, openProject } from './settings'

const day = 24 * 60 * 60

/** Lines for the log: what a cell said, under its number. */
function said({ number }: CodeCell, outputs: Output[]): string {
  const text = spoken(outputs).trim()
  return text && `[${number}] ${text}\n`
}

const checkpoints = (folder: string) =>
  fs.readdirSync(folder).filter(o => o.endsWith('.checkpoint')).map(o => path.join(folder, o))

/** A log in `folder`, written to at once; of a run that is gone on with it keeps what it has. */
function openLog(folder: string): (text: string) => void {
  const file = path.join(folder, 'log.txt'), isBegun = checkpoints(folder).length > 0
  fs.writeFileSync(file, isBegun ? '--- goes on\n' : '', { flag: isBegun ? 'a' : 'w' })
  return text => fs.appendFileSync(file, text)
}

/**
 * Repeats on `out` what cells print, and the state of their bars: on a terminal in one line that
 * is written over, elsewhere (a log) as a line every `every` milliseconds.
 */
export function teller(out: NodeJS.WriteStream = process.stdout, every = 30_000) {
  const erase = out.isTTY ? '\r\x1b[K' : ''
  let told = performance.now(), isOpen = false
  const show = (state: string) => {
    const isDue = out.isTTY || performance.now() - told > every
    if (!isDue) return
    told = performance.now()
    out.write(out.isTTY ? erase + state.slice(0, out.columns - 1) : `${state}\n`)
    isOpen = true
  }
  return ({ type, content }: Message) => {
    if (type === 'update_display_data') show(content.data['text/plain'] ?? '')
    if (type !== 'stream') return
    out.write((isOpen ? erase : '') + content.text)
    isOpen = false
  }
}

/** Run the notebook at `name` under `root` at full size in `folder`; whether all of it ran. */
export async function train(root: string, name: string, folder: string): Promise<boolean> {
  fs.mkdirSync(folder, { recursive: true })
  Object.assign(process.env, { MINIAI_FULL: '1', MINIAI_RUN: folder })
  const compiler = openCompiler(root), nb = readNotebook(path.join(root, name), name)
  const log = openLog(folder), onCell = (...o: [CodeCell, Output[]]) => log(said(...o))
  const cwd = path.dirname(path.join(root, name)), known = openProject(root).flags
  const told = { onMessage: teller(), onCell }
  const options = { root, cwd, known, flags: ['slow'], limit: 10 * day, ...told }
  console.log(`training ${name}, ${codeCells(nb).length} cells, in ${folder}`)
  const report = await runNotebook(compiler, nb, name, options).finally(() => compiler.close())
  // full size says other numbers than are stored
  const failures = report.failures.filter(o => !o.includes('npm test -- --save'))
  for (const o of [...failures, report.stderr.trim()]) if (o) log(`\n${o}\n`)
  for (const o of failures) console.error(o)
  if (!failures.length) for (const o of checkpoints(folder)) fs.rmSync(o)
  return !failures.length
}

async function main(words: string[]): Promise<boolean> {
  const project = openProject(path.dirname(__dirname)), { root } = project
  const names = words.length ? notebookNames(project, words) : [], [name] = names
  const advice = 'wanted one notebook, as in "npm run train -- 08"'
  if (names.length !== 1) throw new Error(`train: ${advice}, got ${names.join(', ') || 'none'}`)
  const folder = path.join(root, 'runs', path.basename(name, '.ipynb')), start = performance.now()
  const isDone = await train(root, name, folder), files = fs.readdirSync(folder).join(', ')
  const seconds = Math.round((performance.now() - start) / 1000)
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K') // a bar may still stand there
  console.log(`${isDone ? 'done' : 'stopped'} after ${seconds} s: ${files}`)
  return isDone
}

if (require.main === module) {
  command([], async (_, words) => process.exit(await main(words) ? 0 : 1))
}
