/** Executes notebooks as the kernel does: one compiler for all, a fresh process for each. */
import * as path from 'path'
import { CodeCell, codeCells, directives, Notebook, Output } from './notebook'
import { Collector, difference, jupyterMessage, spoken } from './outputs'

const { createCompiler } = require('./kernel/compiler.cjs')
const { createSession } = require('./kernel/session.cjs')

/** The compiler of cells; takes a second to make. */
export interface Compiler { close(): void }

/** `flags`: those of `known` that are chosen; `limit`: seconds that a cell may take. */
export interface RunOptions { root: string, cwd: string, known?: string[], flags?: string[], limit?: number }

/** What came of a notebook: `failures` are ready to print, `skipped` names a flag for each cell left out. */
export interface Report { failures: string[], skipped: string[], outputs: Map<CodeCell, Output[]>, stderr: string }

interface CellError { ename: string, evalue: string, traceback: string[], line?: number }
interface Session {
  run(source: string, n: number): Promise<CellError | undefined>
  interrupt(): void
  end(): Promise<void>
  kill(): void
}

/** The compiler for the notebooks of the repository at `root`. */
export function openCompiler(root: string): Compiler { return createCompiler(root) }

/** Why `source` is left out of a run, or nothing. */
export function skipReason(source: string, { known = [], flags = [] }: Partial<RunOptions>): string | undefined {
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
export async function runNotebook(compiler: Compiler, nb: Notebook, name: string, options: RunOptions): Promise<Report> {
  const report: Report = { failures: [], skipped: [], outputs: new Map(), stderr: '' }
  const collector = new Collector(), cells = codeCells(nb)
  let now: CodeCell | undefined
  const onOutput = (m: { type: string, [key: string]: any }) => {
    if (m.type === 'late') return void report.failures.push(failure(name, now!, m.error, 'after the cell ended'))
    if (m.name === 'stderr') report.stderr += m.text
    collector.add(report.outputs.get(now!) ?? [], jupyterMessage(m))
  }
  const session: Session = createSession({ compiler, root: options.root, cwd: options.cwd, onOutput })
  for (const cell of cells) {
    const skip = skipReason(cell.source, options)
    if (skip) report.skipped.push(skip)
    if (skip) continue
    now = cell
    report.outputs.set(cell, [])
    const error = await within(session, cell, options.limit ?? 120)
    if (error) report.failures.push(failure(name, cell, error, notRun(cells, cell)))
    if (error) break
  }
  await session.end()
  for (const [cell, outputs] of report.outputs) {
    const diff = report.failures.length ? undefined : changed(cell, outputs)
    if (diff) report.failures.push(`${name}, cell [${cell.number}]: ${diff}`)
  }
  return report
}

/** Run a cell, stopped when its time is over: first as by the learner, then by force. */
async function within(session: Session, { source, number }: CodeCell, limit: number) {
  let isOver = false
  const soft = setTimeout(() => { isOver = true; session.interrupt() }, limit * 1000)
  const done = session.run(source, number)
  const hard = new Promise<CellError>(resolve => setTimeout(resolve, limit * 1000 + 5000, stopped(limit, [])).unref())
  const error = await Promise.race([done, hard])
  clearTimeout(soft)
  if (isOver && error) session.kill()
  return isOver && error ? stopped(limit, error.traceback.slice(1), error.line) : error
}

function stopped(limit: number, places: string[], line?: number): CellError {
  const evalue = `stopped after ${limit} s`
  return { ename: 'Timeout', evalue, traceback: [`Timeout: ${evalue}`, ...places], line }
}

function notRun(cells: CodeCell[], { number }: CodeCell) {
  return number < cells.length ? `cells [${number + 1}] to [${cells.length}] were not run` : ''
}

/** A failed cell as text: notebook, cell, source line, message, and `remark`. */
export function failure(name: string, { number, source }: CodeCell, error: CellError, remark = ''): string {
  const { line, traceback } = error
  const place = `${name}, cell [${number}]` + (line ? `, line ${line}: ${source.split('\n')[line - 1].trim()}` : '')
  return [place, ...traceback.map(o => `    ${o}`), ...remark ? [`(${remark})`] : []].join('\n')
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
