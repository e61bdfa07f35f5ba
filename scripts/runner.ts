/** Executes notebooks as the kernel does: one compiler for all, a fresh process for each. */
import * as path from 'path'
import { Exercise, exercises } from './exercises'
import { CodeCell, codeCells, directives, Notebook, Output } from './notebook'
import { Collector, difference, jupyterMessage, Message, spoken } from './outputs'

const { createCompiler } = require('./kernel/compiler.cjs')
const { createSession } = require('./kernel/session.cjs')

/** The compiler of cells; takes a second to make. */
export interface Compiler { close(): void }

/**
 * `flags`: those of `known` that are chosen; `limit`: seconds that a cell may take; `solve`: try
 * the exercises' solutions at the end; `onMessage` is told what the cells say while they say it,
 * `onCell` what a cell has said when it is over.
 */
export interface RunOptions {
  root: string
  cwd: string
  known?: string[]
  flags?: string[]
  limit?: number
  solve?: boolean
  onMessage?: (message: Message) => void
  onCell?: (cell: CodeCell, outputs: Output[]) => void
}

/** What came of a notebook: `failures` are ready to print, `skipped` has the reasons of gaps. */
export interface Report {
  failures: string[]
  skipped: string[]
  outputs: Map<CodeCell, Output[]>
  stderr: string
}

interface CellError { ename: string, evalue: string, traceback: string[], line?: number }
interface Session {
  run(source: string, n: number): Promise<CellError | undefined>
  interrupt(): void
  end(): Promise<void>
  kill(): void
}

/** The compiler for the notebooks of the repository at `root`; it keeps the types of `modules`. */
export function openCompiler(root: string, modules: string[] = []): Compiler {
  return createCompiler(root, modules)
}

type Choice = Pick<RunOptions, 'known' | 'flags'>

/** Why `source` is left out of a run, or nothing. */
export function skipReason(source: string, { known = [], flags = [] }: Choice): string | undefined {
  const found = directives(source)
  if (found.some(o => o.name === 'eval' && o.value === 'false')) return 'eval: false'
  return found.map(o => o.name).find(o => known.includes(o) && !flags.includes(o))
}

/** Whether a cell's text differs between runs by intention. */
export function varies(source: string): boolean {
  return directives(source).some(o => o.name === 'varies')
}

/** How stored and new text of a cell differ, as a sentence, or nothing. */
export function changed({ cell, source }: CodeCell, outputs: Output[]): string | undefined {
  const diff = varies(source) ? undefined : difference(spoken(cell.outputs ?? []), spoken(outputs))
  return diff && `the text differs from the stored one; "npm test -- --save" stores it\n    ${diff}`
}

/** Run the cells of `nb` in a fresh process and compare what they say with what is stored. */
export async function runNotebook(
  compiler: Compiler, nb: Notebook, name: string, options: RunOptions): Promise<Report> {
  const report: Report = { failures: [], skipped: [], outputs: new Map(), stderr: '' }
  const { failures, skipped, outputs } = report, { root, cwd, limit = 120 } = options
  const collector = new Collector(), cells = codeCells(nb)
  const solved = options.solve ? exercises(nb, name) : []
  let now = cells[0], said: Output[] = []
  const onOutput = (m: { type: string, [key: string]: any }) => {
    if (m.type === 'late') failures.push(failure(name, now, m.error, 'after the cell ended'))
    else {
      const message = jupyterMessage(m)
      collector.add(said, message)
      options.onMessage?.(message)
    }
    if (m.name === 'stderr') report.stderr += m.text
  }
  const session: Session = createSession({ compiler, root, cwd, onOutput })
  const run: Run = async cell => {
    now = cell
    said = []
    return { outputs: said, error: await within(session, cell, limit) }
  }
  for (const cell of cells) {
    const reason = skipReason(cell.source, options)
    if (reason) skipped.push(reason)
    if (reason) continue
    const o = await run(cell)
    outputs.set(cell, o.outputs)
    options.onCell?.(cell, o.outputs)
    if (o.error) failures.push(failure(name, cell, o.error, notRun(cells, cell)))
    if (o.error) break
  }
  if (!failures.length) failures.push(...await wrongSolutions(solved, name, run))
  await session.end()
  if (!failures.length) failures.push(...differences(name, outputs))
  return report
}

type Run = (cell: CodeCell) => Promise<{ outputs: Output[], error?: CellError }>

/** Run each exercise's solution where the notebook ended, and its checks: what did not pass. */
async function wrongSolutions(solved: Exercise[], name: string, run: Run) {
  const failures: string[] = []
  for (const { task, checks, solution } of solved) {
    for (const cell of [{ ...task, source: solution }, ...checks]) {
      const { outputs, error } = await run(cell), text = spoken(outputs).trim()
      const isWrong = cell.number !== task.number && !passes(text)
      const remark = 'with the solution below it in the place of the exercise'
      if (error) failures.push(failure(name, cell, error, remark))
      else if (isWrong) failures.push(`${name}, cell [${cell.number}]: ${text}\n(${remark})`)
    }
  }
  return failures
}

const passes = (text: string) => /^✓ /m.test(text) && !/^· /m.test(text)

function differences(name: string, outputs: Report['outputs']) {
  return [...outputs].flatMap(([cell, fresh]) => {
    const diff = changed(cell, fresh)
    return diff ? [`${name}, cell [${cell.number}]: ${diff}`] : []
  })
}

/** Run a cell; when its time is over it is interrupted, as by the learner, and then killed. */
async function within(session: Session, { source, number }: CodeCell, limit: number) {
  let isOver = false, kill = () => {}
  const interrupt = setTimeout(() => { isOver = true; session.interrupt() }, limit * 1000)
  const deaf = new Promise<CellError>(resolve => { kill = () => resolve(stopped(limit)) })
  const force = setTimeout(kill, limit * 1000 + 5000)
  const error = await Promise.race([session.run(source, number), deaf])
  clearTimeout(interrupt)
  clearTimeout(force)
  if (!isOver || !error) return error
  session.kill()
  return stopped(limit, error)
}

function stopped(limit: number, { traceback, line }: Partial<CellError> = {}): CellError {
  const evalue = `stopped after ${limit} s`, places = (traceback ?? []).slice(1)
  return { ename: 'Timeout', evalue, traceback: [`Timeout: ${evalue}`, ...places], line }
}

function notRun(cells: CodeCell[], { number }: CodeCell) {
  const left = cells.length - number
  return left ? `${left} cell${left > 1 ? 's' : ''} after it not run` : ''
}

/** A failed cell as text: notebook, cell, source line, message, and a remark. */
export function failure(name: string, cell: CodeCell, error: CellError, remark = ''): string {
  const { line, traceback } = error
  const at = line ? `, line ${line}: ${(cell.source.split('\n')[line - 1] ?? '').trim()}` : ''
  const details = traceback.flatMap(o => o.split('\n')).map(o => `\n    ${o}`).join('')
  return `${name}, cell [${cell.number}]${at}${details}${remark && `\n(${remark})`}`
}

/** Do `f` for each of `xs`, at most `n` at a time; the promises come at once, in order. */
export function inParallel<T, R>(xs: T[], n: number, f: (x: T) => Promise<R>): Promise<R>[] {
  const queue: (() => void)[] = []
  let busy = 0
  const next = () => {
    if (busy >= n || !queue.length) return
    busy++
    queue.shift()!()
  }
  return xs.map(async x => {
    await new Promise<void>(resolve => { queue.push(resolve); next() })
    try { return await f(x) } finally { busy--; next() }
  })
}
