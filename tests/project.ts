/** A project in a temporary folder, for the tests of the tools. */
import * as fs from 'fs'
import * as path from 'path'
import { Cell, Notebook } from '../scripts/notebook'
import { Project, openProject } from '../scripts/settings'
import { temporary } from './folders'

const home = path.join(__dirname, '..')

/** A notebook of the given cells: text that begins with `# ` is Markdown, the rest code. */
export function notebook(...cells: string[]): Notebook {
  const one = (source: string, i: number): Cell => source.startsWith('# ')
    ? { cell_type: 'markdown', id: `m${i}`, metadata: {}, source }
    : { cell_type: 'code', id: `c${i}`, metadata: {}, source, outputs: [], execution_count: null }
  return { metadata: {}, nbformat: 4, nbformat_minor: 5, cells: cells.map(one) }
}

/** A project on the disk that holds the given notebooks, e.g. `{ '01_a': ['//| export …'] }`. */
export function project(notebooks: Record<string, string[]>): Project {
  const root = temporary()
  fs.mkdirSync(path.join(root, 'nbs'))
  fs.writeFileSync(path.join(root, 'settings.ini'), '[DEFAULT]\ntst_flags = slow gpu weights\n')
  fs.copyFileSync(path.join(home, 'tsconfig.json'), path.join(root, 'tsconfig.json'))
  fs.symlinkSync(path.join(home, 'node_modules'), path.join(root, 'node_modules'), 'junction')
  for (const [name, cells] of Object.entries(notebooks)) write(root, name, cells)
  return openProject(root)
}

/** Write the notebook `name` of a project, as an editor would. */
export function write(root: string, name: string, cells: string[]): void {
  fs.writeFileSync(path.join(root, 'nbs', `${name}.ipynb`), JSON.stringify(notebook(...cells)))
}

/** All files below a project's folder, as text: what an outcome is compared by. */
export function files({ root }: Project): Record<string, string> {
  const names = ['nbs', 'miniai'].flatMap(o => fs.existsSync(path.join(root, o))
    ? fs.readdirSync(path.join(root, o)).sort().map(name => path.join(o, name)) : [])
  return Object.fromEntries(names.map(o => [o, fs.readFileSync(path.join(root, o), 'utf8')]))
}
