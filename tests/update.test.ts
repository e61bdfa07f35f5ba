import * as assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { exportProject } from '../scripts/export'
import { isSameBody } from '../scripts/module'
import { Source, modulesFrom } from '../scripts/read'
import { Notebook, cellSource, parseNotebook } from '../scripts/notebook'
import { updateProject, updates } from '../scripts/update'
import { Project } from '../scripts/settings'
import { files, notebook, project } from './project'

const cells = ['//| default_exp a',
  "//| export\nimport * as fs from 'fs'\n\n/** Doc. */\nfunction f() {\n  return fs\n}",
  '1 + 1', '//| exporti\nconst _g = 1', '//| export\nconst h = _g']

/** An exported project and the way to edit its module: `edit('a', 'b')` puts b for a. */
function exported(...sources: string[]) {
  const p = project({ '01_a': sources.length ? sources : cells })
  exportProject(p, { types: false })
  const file = path.join(p.root, 'miniai/a.ts')
  return { p, edit(from: string | RegExp, to: string) {
    const text = fs.readFileSync(file, 'utf8')
    assert.notEqual(text.replace(from, to), text, 'the edit finds its place')
    fs.writeFileSync(file, text.replace(from, to))
  } }
}

const sourcesOf = ({ root }: Project, name = '01_a') =>
  parseNotebook(fs.readFileSync(path.join(root, 'nbs', `${name}.ipynb`), 'utf8'), name)
    .cells.map(cellSource)

it('update without edits changes nothing', () => {
  const { p } = exported(), before = files(p)
  assert.deepEqual(updateProject(p), [])
  assert.deepEqual(files(p), before)
})

it('update takes edits, new names and deletions back into their cells, and only there', () => {
  const { p, edit } = exported()
  edit('return fs', 'return fs.constants')
  edit('export const h = _g', '// why\nexport const h = _g + 1\n\nexport class New {}')
  const module = files(p)['miniai/a.ts']
  assert.deepEqual(updateProject(p), ['nbs/01_a.ipynb'])
  assert.deepEqual(sourcesOf(p), [cells[0], cells[1].replace('return fs', 'return fs.constants'),
    cells[2], cells[3], '//| export\n// why\nconst h = _g + 1\n\nclass New {}'])
  assert.ok(isSameBody(files(p)['miniai/a.ts'], module))
  const after = files(p)
  assert.equal(exportProject(p, { types: false }).write.size, 0)
  assert.deepEqual(files(p), after)
})

it('update killed between notebook and module: the next export completes it', () => {
  const { p, edit } = exported()
  edit('= _g', '= _g + 1')
  const edited = files(p)['miniai/a.ts']
  updateProject(p)
  const after = files(p)
  fs.writeFileSync(path.join(p.root, 'miniai/a.ts'), edited)
  exportProject(p, { types: false })
  assert.deepEqual(files(p), after)
})

it('update keeps outputs, metadata and every other cell as they are', () => {
  const { p, edit } = exported(), file = path.join(p.root, 'nbs/01_a.ipynb')
  const nb: Notebook = JSON.parse(fs.readFileSync(file, 'utf8'))
  nb.cells[2].outputs = [{ output_type: 'stream', name: 'stdout', text: '2\n' }]
  nb.cells[4].metadata = { tags: ['x'] }
  fs.writeFileSync(file, JSON.stringify(nb))
  edit('= _g', '= _g + 1')
  updateProject(p)
  const now = JSON.parse(fs.readFileSync(file, 'utf8')) as Notebook
  assert.deepEqual(now.cells.map(o => [o.id, o.metadata]), nb.cells.map(o => [o.id, o.metadata]))
  assert.deepEqual(now.cells[2].outputs?.[0].text, ['2\n'])
})

it('update after blank lines at the end of a part restores the module', () => {
  const { p, edit } = exported(), before = files(p)
  edit('export const h = _g\n', 'export const h = _g\n\n\n')
  updateProject(p)
  assert.deepEqual(files(p)['miniai/a.ts'], before['miniai/a.ts'])
})

const refused: [string, string | RegExp, string, RegExp][] = [
  ['an import changed', "import * as fs from 'fs'", "import * as fs from 'node:fs'",
    /^miniai\/a\.ts, line 3: lines above the first mark/],
  ['a line above the first mark', '\n\nimport', '\n\nconst x = 1\nimport',
    /^miniai\/a\.ts, line 3: lines above the first mark/],
  ['a mark deleted', /^\/\/ %% .*c3\n/m, '', /^miniai\/a\.ts, line 13: no cell for this mark/],
  ['the last mark deleted', /^\/\/ %% .*c4\n/m, '', /^miniai\/a\.ts: the mark ".* c4" is gone$/],
  ['a mark of another cell', 'ipynb c3', 'ipynb c9', /^miniai\/a\.ts, line 11: no cell for this/],
  ['two parts exchanged', /(^\/\/ %% .* c3\n[^]*)(^\/\/ %% .* c4\n[^]*)/m, '$2$1',
    /^miniai\/a\.ts, line 11: no cell for this mark here$/],
  ['export taken away', 'export const h', 'const h',
    /^miniai\/a\.ts, line 15: cannot go back .* would write "export const h = _g" here$/],
  ['export added to a private name', 'const _g', 'export const _g',
    /^miniai\/a\.ts, line 12: cannot go back into a cell: export would write "const _g = 1" here$/],
  ['a new import in a part', 'const _g', "import 'x'\nconst _g",
    /^miniai\/a\.ts, line 12: directives, imports and lists of exports are/],
  ['a list of exports', 'const _g', 'const _g = 2\nexport { _g as gg }\nconst _i',
    /^miniai\/a\.ts, line 13: directives, imports/],
  ['a default export', 'export const h = _g', 'export default _g',
    /^miniai\/a\.ts, line 15: directives, imports/],
  ['code that does not parse', '_g = 1', '_g = (1', /^miniai\/a\.ts, line 12: '\)' expected/],
  ['an empty part', /^const _g = 1$/m, '', /^miniai\/a\.ts, line 11: an empty cell: remove it/],
  ['a directive', 'const _g', '//| export\nconst _g', /^miniai\/a\.ts, line 12: directives, imp/],
  ['a name that stands twice', 'const _g', 'const f', /^nbs\/01_a\.ipynb, cell 4, line 2: .* has f/]
]
for (const [what, from, to, message] of refused) {
  it(`update: ${what} is refused with its place, and no file changes`, () => {
    const { p, edit } = exported()
    edit(from, to)
    const before = files(p)
    assert.throws(() => updateProject(p), ({ message: got }) => {
      assert.match(got, message)
      return true
    })
    assert.deepEqual(files(p), before)
  })
}

it('update: a cell and its module both changed since the export is refused', () => {
  const { p, edit } = exported()
  edit('= _g', '= _g + 1')
  const file = path.join(p.root, 'nbs/01_a.ipynb')
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('return fs', 'return 1'))
  const before = files(p)
  const message = /miniai\/a\.ts was edited, and nbs\/01_a\.ipynb changed too/
  assert.throws(() => updateProject(p), message)
  assert.deepEqual(files(p), before)
})

it('update: the module of a notebook that is gone is refused', () => {
  const { p, edit } = exported()
  edit('= _g', '= _g + 1')
  fs.rmSync(path.join(p.root, 'nbs/01_a.ipynb'))
  assert.throws(() => updateProject(p), /miniai\/a\.ts, line 1: no notebook exports this module/)
})

it('update: a refusal in one module leaves the edits of the others where they are', () => {
  const p = project({ '01_a': cells, '02_b': ['//| default_exp b', '//| export\nconst b = 1'] })
  exportProject(p, { types: false })
  for (const [name, to] of [['a', 'const h'], ['b', 'export const c']]) {
    const file = path.join(p.root, `miniai/${name}.ts`)
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(/export const [hb]/, to))
  }
  const before = files(p)
  assert.throws(() => updateProject(p), /miniai\/a\.ts, line 15/)
  assert.deepEqual(files(p), before)
})

it('update as a command prints what it changed, or one sentence and exit 1', () => {
  const { p, edit } = exported(), home = path.join(__dirname, '..')
  const run = () => spawnSync(process.execPath, ['-r', path.join(home, 'scripts/load.cjs'),
    path.join(home, 'scripts/update.ts')], { cwd: p.root, encoding: 'utf8' })
  edit('= _g', '= _g + 1')
  assert.equal(run().stdout, 'update: nbs/01_a.ipynb\n')
  edit('export const h', 'const h')
  const { status, stderr } = run()
  assert.deepEqual([status, stderr.trim().split('\n').length], [1, 1])
})

// Mulberry32 (Tommy Ettinger, 2017): a small generator, so that a failure can be repeated.
function random(seed: number) {
  return (n: number) => {
    seed = seed + 0x6D2B79F5 | 0
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * n)
  }
}

const forms = ['function NAME() { return 1 }', 'const NAME = (x: number) =>\n  x * 2',
  'let NAME = `\n export {}`', '/** Doc of NAME,\n * in lines. */\nclass NAME<T> {\n  x = 1\n}',
  'type NAME = {\n  a: 1\n}', 'enum NAME { A, B }', '// export NAME\nasync function* NAME() {}',
  'register("export NAME")', "if (1) {\n  const NAME = 'é — 😀'\n}", 'const [NAME] = [1]',
  'const { a: NAME, ...NAMErest } = { a: 1 }', 'declare const NAME: string',
  '@dec\nabstract class NAME {}', 'const NAME = 1 // export\n\n',
  'export_NAME\n\n\nconst NAME = /export /', 'var NAME = 1; var NAMEb = 2']
const imports = ["import 'x'", "import * as p from 'p'\n", "import { q,\n  r as s } from 'p'",
  "import type { T } from 't'", "import d from 'd' // why"]
const heads = ['export', 'exporti', 'exports', 'export b', 'export\n//| hide',
  'export\n//| eval: false']

/** Notebooks of random cells: every form of declaration, with imports and directives anywhere. */
function randomSources(pick: (n: number) => number): Source[] {
  let count = 0
  const one = <T>(from: T[]) => from[pick(from.length)]
  const code = () => one(forms).replaceAll('NAME', `${pick(5) ? '' : '_'}n${count++}`)
  const cell = () => pick(4) ? [`//| ${one(heads)}`, ...Array.from({ length: 1 + pick(4) }, () =>
    pick(4) ? code() : one(imports))].join(one(['\n', '\n\n'])) : one(['1 + 1', '# Prose', code()])
  const some = () => Array.from({ length: 2 + pick(6) }, cell)
  return ['01_a', '02_b'].map((name, i) => ({ name: `nbs/${name}.ipynb`,
    notebook: notebook(`//| default_exp ${'ac'[i]}`, ...some()) }))
}

const options = { root: '/', nbs: 'nbs', lib: 'miniai', flags: [] }
const texts = (sources: Source[]) =>
  new Map(modulesFrom(sources, options).map(o => [`${o.name}.ts`, o.text]))
const reread = (sources: Source[], notebooks: Map<string, string>) => sources.map(o =>
  ({ name: o.name, notebook: notebooks.has(o.name)
    ? parseNotebook(notebooks.get(o.name)!, o.name) : o.notebook }))

it('export → update → export is the identity for 300 random notebooks', () => {
  for (let seed = 0; seed < 300; seed++) {
    const pick = random(seed), sources = randomSources(pick), before = texts(sources)
    const nothing = { notebooks: new Map(), modules: new Map() }
    assert.deepEqual(updates(options, sources, before), nothing, `seed ${seed}`)
    const edited = new Map([...before].map(([file, text]) => {
      const parts = text.split(/(?=^\/\/ %% )/m)
      const changed = parts.map((o, i) => i && pick(2) ? [
        o.replace(/^(\/\/ %% .*\n)/, '$1// new\n'), o.replace('return 1', 'return [1, 2]'),
        o.trimEnd() + `\n_call(${i})\n\n`, o.replace(/: 1$/m, ': 2')][pick(4)] : o)
      return [file, changed.join('').trimEnd() + '\n']
    }))
    const { notebooks, modules } = updates(options, sources, edited)
    const after = texts(reread(sources, notebooks))
    for (const [file, text] of edited) {
      assert.ok(isSameBody(after.get(file)!, text), `seed ${seed}: ${file}`)
      const wanted = text === before.get(file) ? undefined : after.get(file)
      assert.equal(modules.get(`miniai/${file}`), wanted, `seed ${seed}: ${file}`)
    }
  }
})

const noises = ['', 'x', '\n', ' ', 'export ', '// %% ', '}', '`', "import 'y'\n", '//| hide\n']

it('update of 600 damaged modules is refused, or gives each module back to the letter', () => {
  let taken = 0
  for (let seed = 0; seed < 600; seed++) {
    const pick = random(seed + 1000), sources = randomSources(pick)
    const edited = texts(sources), file = [...edited.keys()][pick(edited.size)]
    if (!file) continue
    const text = edited.get(file)!, first = text.indexOf('\n') + 1
    const at = first + pick(text.length - first), noise = noises[pick(noises.length)]
    edited.set(file, text.slice(0, at) + noise + text.slice(at + pick(30)))
    try {
      const { notebooks } = updates(options, sources, edited)
      const after = texts(reread(sources, notebooks)).get(file)!
      const parts = (o: string) => o.split(/(?=^\/\/ %% )/m).map(o => o.trimEnd()).slice(1)
      assert.deepEqual(parts(after), parts(edited.get(file)!), `seed ${seed}`)
      taken++
    } catch (e) {
      if ((e as Error).constructor !== Error) throw e
      assert.match((e as Error).message, /^(miniai\/\w+\.ts|nbs\/\w+\.ipynb, cell)/, `seed ${seed}`)
    }
  }
  assert.ok(taken > 60 && taken < 540, `${taken} taken back`)
})
