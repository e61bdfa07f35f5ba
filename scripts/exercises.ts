/** The exercises of a notebook: a cell to fill in, `check` below it, a folded solution after it. */
import { Cell, cellSource, CodeCell, codeCells, Notebook } from './notebook'

/** `task` is the learner's cell, in whose place `solution` can stand for `checks` to pass. */
export interface Exercise { task: CodeCell, checks: CodeCell[], solution: string }

const isCheck = ({ source }: CodeCell) => /^check\(/m.test(source)

/** The exercises of `nb` that have a solution in code; `name` stands in the errors. */
export function exercises(nb: Notebook, name: string): Exercise[] {
  const cells = codeCells(nb), found: Exercise[] = []
  let above: CodeCell[] = []
  for (const cell of nb.cells) {
    const code = cells.find(o => o.cell === cell), solution = code ? '' : solutionIn(cell)
    if (code) above.push(code)
    if (solution) found.push(exercise(above, solution, name))
    if (cell.cell_type === 'markdown') above = []
  }
  return found
}

function exercise(above: CodeCell[], solution: string, name: string): Exercise {
  const at = above.findIndex(isCheck), [task, ...checks] = at < 1 ? [] : above.slice(at - 1)
  if (task) return { task, checks, solution }
  const line = solution.split('\n')[0]
  throw new Error(`${name}: the solution "${line}" wants a cell and its check right above it`)
}

/** The indented lines between `<details>` and `</details>`. */
function solutionIn(cell: Cell): string {
  const folded = /<details>([^]*?)<\/details>/.exec(cellSource(cell))?.[1] ?? ''
  const lines = folded.split('\n').filter(o => /^ {4}|^$/.test(o))
  return lines.map(o => o.slice(4)).join('\n').trim()
}
