/** Where a line stands, in a learner's words. */

/** A line of a cell; `cell` and `line` count from 1, as the learner does. */
export interface Place { notebook: string, cell: number, line: number }

/** A line of a module and the line of the cell it came from. */
export interface Line { text: string, place?: Place }

/** "nbs/05_matmul.ipynb, cell 12, line 3". */
export function where({ notebook, cell, line }: Place): string {
  return `${notebook}, cell ${cell}, line ${line}`
}
