import * as assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as path from 'node:path'
import * as ts from 'typescript'
import { exportProject } from '../scripts/export'
import { indexOf, isUntouched } from '../scripts/module'
import { modulesFrom } from '../scripts/read'
import { files, notebook, project, write } from './project'

const home = path.join(__dirname, '..')
const tool = ['-r', path.join(home, 'scripts/load.cjs'), path.join(home, 'scripts/export.ts')]
const options = { lib: 'miniai', flags: ['slow'] }

const modulesOf = (...cells: string[]) =>
  modulesFrom([{ name: 'nbs/01_a.ipynb', notebook: notebook(...cells) }], options)
const built = (...cells: string[]) =>
  modulesOf('//| default_exp a', ...cells)
const body = (...cells: string[]) =>
  built(...cells)[0].text.split(/^\/\/ %% .*\n/m).slice(1).join('')
const head = (...cells: string[]) =>
  built(...cells)[0].text.split('\n// %% ')[0].split('\n').slice(2).join('\n')

const declarations = ['function f() {}', 'function* f() {}', 'async function f() {}',
  'async function* f() {}', 'class f {}', 'abstract class f {}', 'const f = 1', 'let f = 1',
  'type f = 1', 'interface f {}', 'enum f { A }', 'const enum f { A }', 'declare const f: 1',
  'declare function f(): void', 'namespace f { const x = 1 }', 'const { f } = { f: 1 }',
  'const [, f = 2] = [1]', '/** Says what. */\nfunction f() {}', '@dec\nclass f {}']
for (const code of declarations) {
  it(`export: "${code.replace('\n', ' ')}" becomes public`, () => {
    const at = code.includes('\n') ? code.lastIndexOf('\n') + 1 : 0
    assert.equal(body(`//| export\n${code}`), `${code.slice(0, at)}export ${code.slice(at)}\n`)
    assert.deepEqual(indexOf(built(`//| export\n${code}`)), { 'a.f': 'nbs/01_a.ipynb#c1' })
  })
}

it('export: the declarations it knows compile as they were exported', () => {
  for (const code of declarations.filter(o => !o.startsWith('@'))) {
    const text = body(`//| export\n${code}`)
    const { diagnostics } = ts.transpileModule(text, { reportDiagnostics: true })
    assert.deepEqual(diagnostics?.map(o => o.messageText), [], code)
  }
})

it('export: overloads are each public, names with _ and cells under exporti stay inside', () => {
  const overloads = 'function f(a: 1): 1\nfunction f(a: any) { return a }'
  assert.equal(body(`//| export\n${overloads}`), overloads.replace(/^/gm, 'export ') + '\n')
  assert.equal(body('//| export\nconst _f = 1'), 'const _f = 1\n')
  assert.equal(body('//| exporti\nconst f = 1'), 'const f = 1\n')
  assert.equal(body('//| exports\nconst f = 1'), 'export const f = 1\n')
})

it('export: statements that declare nothing, and nested declarations, stay as they are', () => {
  const code = 'register(1)\nfor (const a of b) { function f() {} }\ndeclare global { var x: 1 }'
  assert.equal(body(`//| export\n${code}`), `${code}\n`)
})

it('export: directives and imports leave the cell, everything else keeps its letters', () => {
  const code = "//| export\n//| slow\nimport 'fs'\n\n// why\nconst a = `\n  ${1}`  \n\n"
  assert.equal(body(code), '// why\nexport const a = `\n  ${1}`  \n')
})

it('export: imports of all cells are merged, sorted, without doubles', () => {
  const cells = ["import { b, a as z } from 'x'\nconst f1 = 1", "import { a as z, c } from 'x'",
    "import d from 'x'\nimport * as e from 'e'\nimport 'x'", "import type { T } from 'x'",
    "import { type U, type b } from 'x'", "import q = require('q')"]
  assert.equal(head(...cells.map(o => `//| export\n${o}`)), ["import * as e from 'e'",
    "import q = require('q')", "import 'x'", "import d from 'x'",
    "import { b, c, a as z } from 'x'", "import type { T, U } from 'x'", ''].join('\n'))
})

it('export: a name imported as a type here and as a value there is imported as a value', () => {
  assert.equal(head("//| export\nimport type { A } from 'x'", "//| export\nimport { A } from 'x'"),
    "import { A } from 'x'\n")
})

it('export: a long import is broken at 100 columns', () => {
  const names = Array.from({ length: 20 }, (_, i) => `someName${i}`)
  const lines = head(`//| export\nimport { ${names.join(', ')} } from 'x'\nconst a = 1`).split('\n')
  assert.ok(lines.length > 2 && lines.every(o => o.length <= 100), lines.join('\n'))
  for (const name of names) assert.ok(lines.join().includes(name), name)
})

it('export: imports of cells that are not exported stay out, as in nbdev', () => {
  assert.equal(head("import 'x'", '//| export\nconst a = 1'), '')
})

it('export: "miniai/name" becomes "./name", also between two modules of one notebook', () => {
  const cells = ['//| default_exp a', '//| export\nconst f = 1',
    "//| export b\nimport { f } from 'miniai/a'\nconst g = f"]
  const [a, b] = modulesOf(...cells)
  assert.deepEqual([a.name, b.name], ['a', 'b'])
  assert.match(b.text, /^import \{ f \} from '\.\/a'$/m)
})

it('export: reexport passes an imported name on, types stay types', () => {
  const cell = "//| export\n//| reexport tf, T\nimport * as tf from 't'\nimport type { T } from 'u'"
  assert.equal(head(cell), "import * as tf from 't'\nimport type { T } from 'u'\n"
    + 'export type { T }\nexport { tf }\n')
  assert.deepEqual(Object.keys(indexOf(built(cell))), ['a.T', 'a.tf'])
})

it('export: the quotation under the title becomes the text at the head of the module', () => {
  const cells = ['# Files\n\n> Reading and\n> writing.\n\nMore.', '//| default_exp a',
    '//| export\nconst a = 1']
  const [{ text }] = modulesOf(...cells)
  assert.match(text, /^\/\/ Do not edit: made by .* from \.\.\/nbs\/01_a\.ipynb \(\w{12}\)\n/)
  assert.equal(text.split('\n').slice(1, 4).join('\n'), '// Reading and\n// writing.\n')
})

it('export: a mark above each part names its notebook and cell', () => {
  const { text, lines } = built('//| export\nconst a = 1', '1 + 1', '//| export\nconst b = 1')[0]
  assert.deepEqual(text.match(/^\/\/ %% .*/gm), ['// %% ../nbs/01_a.ipynb c1',
    '// %% ../nbs/01_a.ipynb c3'])
  assert.deepEqual(lines.find(o => o.text.includes('const b'))?.place,
    { notebook: 'nbs/01_a.ipynb', cell: 4, line: 2 })
})

it('export: a new cell of prose or exploration changes no byte of the module', () => {
  const cells = notebook('//| default_exp a', '//| export\nconst a = 1')
  const text = () => modulesFrom([{ name: 'nbs/01_a.ipynb', notebook: cells }], options)[0].text
  const before = text()
  cells.cells.splice(1, 0, { ...notebook('1 + 1').cells[0], id: 'new' })
  assert.equal(text(), before)
})

it('exportProject: modules and index, and a second export changes nothing', () => {
  const p = project({ '01_a': ['//| default_exp a', '//| export\nconst f = 1'],
    '02_b': ['//| default_exp b', "//| export\nimport { f } from 'miniai/a'\nconst g = f"] })
  exportProject(p, { types: false })
  const before = files(p)
  assert.deepEqual(Object.keys(before), ['nbs/01_a.ipynb', 'nbs/02_b.ipynb', 'miniai/_index.json',
    'miniai/a.ts', 'miniai/b.ts'])
  assert.deepEqual(JSON.parse(before['miniai/_index.json']),
    { 'a.f': 'nbs/01_a.ipynb#c1', 'b.g': 'nbs/02_b.ipynb#c1' })
  assert.ok(isUntouched(before['miniai/a.ts']))
  const { write, remove } = exportProject(p, { types: false })
  assert.deepEqual([write.size, remove.length, files(p)], [0, 0, before])
})

it('exportProject: the module of a notebook that is gone is removed, other files stay', () => {
  const p = project({ '01_a': ['//| default_exp a', '//| export\nconst f = 1'],
    '02_b': ['//| default_exp b', '//| export\nconst g = 1'] })
  exportProject(p, { types: false })
  fs.writeFileSync(path.join(p.root, 'miniai/own.ts'), 'export const own = 1\n')
  fs.rmSync(path.join(p.root, 'nbs/02_b.ipynb'))
  assert.deepEqual(exportProject(p, { types: false }).remove, ['b.ts'])
  assert.deepEqual(fs.readdirSync(path.join(p.root, 'miniai')), ['_index.json', 'a.ts', 'own.ts'])
})

it('exportProject: one notebook is exported though another is broken', () => {
  const p = project({ '01_a': ['//| default_exp a', '//| export\nconst f = 1'],
    '02_b': ['//| default_exp b', "//| export\nimport { f } from 'miniai/a'\nconst g = f"] })
  exportProject(p, { types: false })
  fs.writeFileSync(path.join(p.root, 'nbs/01_a.ipynb'), '{')
  const cell = "//| export\nimport { f } from 'miniai/a'\nconst h = f"
  write(p.root, '02_b', ['//| default_exp b', cell])
  exportProject(p, { types: false, words: ['02'] })
  const after = files(p)
  assert.match(after['miniai/b.ts'], /export const h = f/)
  assert.deepEqual(Object.keys(JSON.parse(after['miniai/_index.json'])), ['a.f', 'b.h'])
})

it('exportProject: one notebook is checked against the modules of the others', () => {
  const p = project({ '01_a': ['//| default_exp a', '//| export\nconst f = 1'],
    '02_b': ['//| default_exp b', "//| export\nimport { f } from 'miniai/a'\nconst g = f"] })
  exportProject(p, { types: false })
  const cell = "//| export\nimport { f } from 'miniai/a'\nconst g: string = f"
  assert.equal(exportProject(p, { words: ['02'] }).write.size, 0)
  write(p.root, '02_b', ['//| default_exp b', cell])
  assert.throws(() => exportProject(p, { words: ['02'] }),
    /^Error: nbs\/02_b\.ipynb, cell 2, line 3: Type 'number' is not assignable to type 'string'\.$/)
})

it('exportProject: of two notebooks that make one module, one word takes both', () => {
  const p = project({ '01_a': ['//| default_exp a', '//| export\nconst f = 1'],
    '02_b': ['//| export a\nconst g = 1'] })
  exportProject(p, { types: false })
  const before = files(p)
  exportProject(p, { types: false, words: ['02_b'] })
  assert.deepEqual(files(p), before)
})

const good = ['//| default_exp a', '//| export\nconst f = 1']
const broken: [string, Record<string, string[]>, RegExp][] = [
  ['no default_exp', { '02_b': ['//| export\nconst g = 1'] },
    /^nbs\/02_b\.ipynb, cell 1, line 1: no module/],
  ['a second default_exp', { '02_b': ['//| default_exp b', '//| default_exp c'] },
    /^nbs\/02_b\.ipynb, cell 2, line 1: a second "\/\/\| default_exp"/],
  ['a misspelt directive', { '02_b': ['//| default_exp b', '//| exprot\nconst g = 1'] },
    /^nbs\/02_b\.ipynb, cell 2, line 1: unknown directive "\/\/\| exprot" \(known: default_exp, /],
  ['a directive below the code', { '02_b': ['//| default_exp b', 'const g = 1\n//| export'] },
    /^nbs\/02_b\.ipynb, cell 2, line 2: a directive belongs to the first lines/],
  ['a cell exported twice', { '02_b': ['//| default_exp b', '//| export\n//| exporti\nlet g = 1'] },
    /^nbs\/02_b\.ipynb, cell 2, line 1: a cell is exported once/],
  ['eval without a value', { '02_b': ['//| default_exp b', '//| eval: no\n1'] },
    /^nbs\/02_b\.ipynb, cell 2, line 1: "\/\/\| eval" wants true or false/],
  ['a module outside the library', { '02_b': ['//| export ../b\nconst g = 1'] },
    /^nbs\/02_b\.ipynb, cell 1, line 1: "\.\.\/b" cannot name a module/],
  ['a module with a private name', { '02_b': ['//| default_exp _index'] },
    /^nbs\/02_b\.ipynb, cell 1, line 1: "_index" cannot name a module/],
  ['default_exp without a name', { '02_b': ['//| default_exp'] },
    /^nbs\/02_b\.ipynb, cell 1, line 1: "" cannot name a module/],
  ['two cells that export one name', { '02_b': ['//| export a\nconst f = 2'] },
    /^nbs\/02_b\.ipynb, cell 1, line 2: miniai\/a has f already, from nbs\/01_a\.ipynb, cell 2, /],
  ['two notebooks with one default_exp', { '02_b': ['//| default_exp a'] },
    /^nbs\/02_b\.ipynb, cell 1, line 1: nbs\/01_a\.ipynb makes miniai\/a already/],
  ['a module that imports itself', { '02_b': ['//| default_exp b',
    "//| export\nimport { g } from 'miniai/b'\nconst g = 1"] },
  /^nbs\/02_b\.ipynb, cell 2, line 2: miniai\/b imports itself$/],
  ['circular modules', { '02_b': ["//| export b\nimport { h } from 'miniai/c'\nconst g = 1",
    "//| export c\nimport { g } from 'miniai/b'\nconst h = 1"] },
  /^nbs\/02_b\.ipynb, cell \d, line 2: modules import each other in a circle, \w → \w → \w$/],
  ['an import from a later notebook', { '02_b': ["import { h } from 'miniai/c'"],
    '03_c': ['//| export c\nconst h = 1'] },
  /^nbs\/02_b\.ipynb, cell 1, line 1: miniai\/c comes later, in nbs\/03_c\.ipynb$/],
  ['an import from nowhere', { '02_b': ["1\nimport { h } from 'miniai/c'"] },
    /^nbs\/02_b\.ipynb, cell 1, line 2: no notebook exports miniai\/c$/],
  ['a relative import', { '02_b': ["//| export b\nimport { f } from '../miniai/a'\nconst g = f"] },
    /^nbs\/02_b\.ipynb, cell 1, line 2: import "miniai\/name", not the relative "\.\.\/mini/],
  ['one name imported from two places', { '02_b': ["//| export b\nimport { x } from 'p'",
    "//| export b\nimport { x } from 'q'"] },
  /^nbs\/02_b\.ipynb, cell 2, line 2: x is imported from "p" already, in nbs\/02_b\.ipynb, cell/],
  ['the word export in a cell', { '02_b': ['//| export b\nexport const g = 1'] },
    /^nbs\/02_b\.ipynb, cell 1, line 2: a cell carries no "export"/],
  ['a list of exports in a cell', { '02_b': ['//| export b\nconst g = 1\nexport { g }'] },
    /^nbs\/02_b\.ipynb, cell 1, line 3: a cell carries no "export"/],
  ['private and public names at once', { '02_b': ['//| export b\nconst g = 1, _h = 2'] },
    /^nbs\/02_b\.ipynb, cell 1, line 2: g, _h: a private name/],
  ['reexport of a name not imported', { '02_b': ['//| export b\n//| reexport tf\nconst g = 1'] },
    /^nbs\/02_b\.ipynb, cell 1, line 2: tf is not imported in an export cell$/],
  ['code that does not parse', { '02_b': ['//| export b\nconst g = 1\nconst = 2'] },
    /^nbs\/02_b\.ipynb, cell 1, line 3: Variable declaration expected\.$/],
  ['a line like a mark', { '02_b': ['//| export b\n// %% ../nbs/x.ipynb c1\nconst g = 2'] },
    /^nbs\/02_b\.ipynb, cell 1, line 2: a line like the exporter's own marks$/]
]
for (const [what, notebooks, message] of broken) {
  it(`export: ${what} is refused with its place, and no file changes`, () => {
    const p = project({ '01_a': good })
    exportProject(p, { types: false })
    write(p.root, '01_a', ['//| default_exp a', '//| export\nconst f = 2'])
    for (const [name, cells] of Object.entries(notebooks)) write(p.root, name, cells)
    const before = files(p)
    assert.throws(() => exportProject(p, { types: false }), ({ message: got }) => {
      assert.match(got, message)
      return true
    })
    assert.deepEqual(files(p), before)
  })
}

it('export: a notebook that is not JSON is refused with its place, and no file changes', () => {
  const p = project({ '01_a': good })
  fs.writeFileSync(path.join(p.root, 'nbs/02_b.ipynb'), '{\n "cells": [,]\n}')
  const before = files(p)
  assert.throws(() => exportProject(p, { types: false }),
    /^Error: nbs\/02_b\.ipynb, line 2 of the file: not valid JSON/)
  assert.deepEqual(files(p), before)
})

it('export: cells without an id of their own are refused', () => {
  const p = project({ '01_a': good }), nb = notebook(...good, '//| export\nconst g = 1')
  for (const id of [undefined, 'c1', 'no good']) {
    nb.cells[2].id = id
    fs.writeFileSync(path.join(p.root, 'nbs/01_a.ipynb'), JSON.stringify(nb))
    assert.throws(() => exportProject(p, { types: false }), /cell 3, line 1: .* run npm run clean$/)
  }
})

it('export: a module edited by hand is refused, one whose file is deleted is made again', () => {
  const p = project({ '01_a': good, '02_b': ['//| default_exp b', '//| export\nconst g = 1'] })
  exportProject(p, { types: false })
  const file = path.join(p.root, 'miniai/b.ts'), text = fs.readFileSync(file, 'utf8')
  fs.writeFileSync(file, text.replace('= 1', '= 2'))
  write(p.root, '01_a', ['//| default_exp a', '//| export\nconst f = 2'])
  const before = files(p)
  assert.throws(() => exportProject(p, { types: false }),
    /^Error: miniai\/b\.ts was edited by hand: "npm run update"/)
  fs.rmSync(path.join(p.root, 'nbs/02_b.ipynb'))
  assert.throws(() => exportProject(p, { types: false }), /miniai\/b\.ts was edited by hand/)
  fs.writeFileSync(path.join(p.root, 'nbs/02_b.ipynb'), before['nbs/02_b.ipynb'])
  assert.deepEqual(files(p), before)
  fs.rmSync(file)
  exportProject(p, { types: false })
  assert.equal(fs.readFileSync(file, 'utf8'), text)
})

it('export: a file of the same name that export did not make is refused', () => {
  const p = project({ '01_a': good })
  fs.mkdirSync(path.join(p.root, 'miniai'))
  fs.writeFileSync(path.join(p.root, 'miniai/a.ts'), 'mine')
  assert.throws(() => exportProject(p, { types: false }), /miniai\/a\.ts was not made by export/)
  assert.equal(fs.readFileSync(path.join(p.root, 'miniai/a.ts'), 'utf8'), 'mine')
})

it('export: line ends that git changed on the way are not edits', () => {
  const p = project({ '01_a': good })
  exportProject(p, { types: false })
  const file = path.join(p.root, 'miniai/a.ts'), text = fs.readFileSync(file, 'utf8')
  fs.writeFileSync(file, text.replace(/\n/g, '\r\n'))
  assert.equal(exportProject(p, { types: false }).write.size, 0)
})

it('export: what is kept of unchanged notebooks gives the same bytes, and may be damaged', () => {
  const p = project({ '01_a': good, '02_b': ['//| default_exp b', '//| export\nconst g = 1'] })
  const cache = path.join(p.root, '.cache/export.json')
  exportProject(p, { types: false })
  const made = files(p), kept = fs.readFileSync(cache, 'utf8')
  for (const text of [kept, kept.slice(0, -9), '', '{"nbs/01_a.ipynb":null}']) {
    fs.rmSync(path.join(p.root, 'miniai'), { recursive: true })
    fs.writeFileSync(cache, text)
    exportProject(p, { types: false })
    assert.deepEqual(files(p), made)
  }
  write(p.root, '02_b', ['//| default_exp b', '//| export\nconst g = 2'])
  assert.deepEqual([...exportProject(p, { types: false }).write.keys()], ['b.ts'])
  p.flags = []
  write(p.root, '01_a', ['//| slow', ...good])
  assert.throws(() => exportProject(p, { types: false }), /unknown directive "\/\/\| slow"/)
})

it('export: strict type errors name notebook, cell and line, and no file changes', () => {
  const p = project({ '01_a': good, '02_b': ['//| default_exp b', '1 + 1', '//| export\n'
    + "import { f, nope } from 'miniai/a'\n\n/** Doc. */\nfunction g(x) { return f }\n",
  '//| export\nconst h: string = g(1)'] })
  const before = files(p)
  assert.throws(() => exportProject(p), ({ message }) => {
    const lines = message.split('\n')
    assert.match(lines[0], /^nbs\/02_b\.ipynb, cell 3, line 2: .*no exported member 'nope'/)
    assert.match(lines[1], /^nbs\/02_b\.ipynb, cell 3, line 5: Parameter 'x' implicitly has an /)
    assert.match(lines[2], /^nbs\/02_b\.ipynb, cell 4, line 2: Type 'number' is not assignable/)
    return lines.length === 3
  })
  assert.deepEqual(files(p), before)
})

it('export: a name imported in a cell not exported is a type error with its place', () => {
  const p = project({ '01_a': ['//| default_exp a', "import * as fs from 'fs'",
    "//| export\nconst f = fs.readFileSync('x')"] })
  assert.throws(() => exportProject(p), /nbs\/01_a\.ipynb, cell 3, line 2: Cannot find name 'fs'/)
})

it('export --check writes nothing, exits 1 and names the module that differs', () => {
  const p = project({ '01_a': good })
  const check = () => spawnSync(process.execPath, [...tool, '--check', '--no-types'],
    { cwd: p.root, encoding: 'utf8' })
  const before = files(p), first = check()
  assert.equal(first.status, 1)
  assert.match(first.stderr, /run "npm run export": it would change miniai\/a\.ts/)
  assert.deepEqual(files(p), before)
  exportProject(p, { types: false })
  assert.deepEqual([check().status, check().stderr], [0, ''])
})

it('export with an unknown option, or a word no notebook matches, is one sentence', () => {
  const p = project({ '01_a': good })
  const sentences = [['--chek', 'unknown option --chek'], ['77', 'no notebook matches 77']]
  for (const [word, message] of sentences) {
    const { status, stderr } = spawnSync(process.execPath, [...tool, word],
      { cwd: p.root, encoding: 'utf8' })
    assert.equal(status, 1)
    assert.deepEqual([stderr.includes(message), stderr.trim().split('\n').length], [true, 1])
  }
})

it('export --watch exports at once, then on each save; an error does not end it', async () => {
  const p = project({ '01_a': good }), file = path.join(p.root, 'miniai/a.ts')
  const child = spawn(process.execPath, [...tool, '--watch', '--no-types'], { cwd: p.root })
  let said = ''
  child.stdout.on('data', o => said += o)
  child.stderr.on('data', o => said += o)
  const until = async (what: RegExp, from: () => string) => {
    for (let i = 0; i < 200 && !what.test(from()); i++) await new Promise(o => setTimeout(o, 50))
    assert.match(from(), what)
  }
  const text = () => fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
  try {
    await until(/const f = 1/, text)
    await until(/export: /, () => said)
    write(p.root, '01_a', ['//| default_exp a', '//| exprot\nconst f = 2'])
    await until(/unknown directive/, () => said)
    write(p.root, '01_a', ['//| default_exp a', '//| export\nconst f = 2'])
    await until(/const f = 2/, text)
  } finally { child.kill() }
})

it('export: this repository\'s modules are what its notebooks export', () => {
  execFileSync(process.execPath, [...tool, '--check', '--no-types'], { cwd: home })
})
