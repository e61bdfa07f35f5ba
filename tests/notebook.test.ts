import * as assert from 'node:assert/strict'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { sweep, writeAtomic } from '../scripts/atomic'
import { cellSource, codeCells, directives, formatNotebook,
  parseNotebook } from '../scripts/notebook'
import { notebookNames, parseSettings, projectRoot } from '../scripts/settings'
import { notebook, project } from './project'

const damaged: [string, string, RegExp][] = [
  ['nothing', '', /^x, line 1 of the file: not valid JSON/],
  ['a comma too much', '{\n "cells": [\n  1,\n ]}', /^x, line 4 of the file: not valid JSON/],
  ['a quote missing', '{\n "cells: []\n}\n', /^x, line 2 of the file: not valid JSON/],
  ['a file cut off', '{\n "cells": [\n', /^x, line 3 of the file: not valid JSON/],
  ['a merge conflict', '{\n<<<<<<< HEAD\n', /^x, line 2 of the file: git left a merge conflict/],
  ['a list', '[]', /^x: not a notebook, it has no list of cells$/],
  ['null', 'null', /^x: not a notebook, it has no list of cells$/],
  ['format 3', '{"nbformat":3,"cells":[]}', /^x: expected notebook format 4, got 3$/],
  ['a cell of no kind', '{"nbformat":4,"cells":[{"source":""}]}',
    /^x, cell 1 of the file: expected a code, markdown or raw cell, got undefined$/],
  ['a cell that is null', '{"nbformat":4,"cells":[null]}', /^x, cell 1 of the file: expected a /],
  ['a source of numbers', '{"nbformat":4,"cells":[{"cell_type":"code","source":[1]}]}',
    /^x, cell 1 of the file: expected a source of text, got object$/],
  ['outputs that are no list',
    '{"nbformat":4,"cells":[{"cell_type":"code","source":"","outputs":1}]}',
    /^x, cell 1 of the file: expected a list of outputs, got number$/]
]
for (const [what, text, message] of damaged) {
  it(`parseNotebook of ${what} is refused in one sentence with its place`, () => {
    assert.throws(() => parseNotebook(text, 'x'), ({ message: got }) => {
      assert.match(got, message)
      return !got.includes('\n')
    })
  })
}

it('parseNotebook names the damaged line wherever a quote is taken away', () => {
  const lines = formatNotebook(notebook('# A', '1 + 1', '"]"')).split('\n')
  for (const [i, line] of lines.entries()) {
    const text = lines.map((o, k) => k === i ? o.replace(/"(?=:)/, "") : o).join("\n")
    if (text === lines.join('\n')) continue
    assert.throws(() => parseNotebook(text, 'x'), new RegExp(`^Error: x, line ${i + 1} of`))
  }
})

it('formatNotebook(parseNotebook(text)) is one form, whatever the order and the splitting', () => {
  const text = (o: object) => formatNotebook(parseNotebook(JSON.stringify(o), 'x'))
  const a = text({ nbformat: 4, nbformat_minor: 5, metadata: { b: 1, a: [] }, cells: [{
    source: 'x\ny', id: 'i', cell_type: 'code', metadata: {}, execution_count: null, outputs: [
      { text: 'a\n\n', output_type: 'stream', name: 'stdout' },
      { output_type: 'display_data', metadata: {}, data: { 'text/plain': 'a\nb',
        'application/json': ['a', 'b'], 'image/png': 'AAA=\n' } }] }] })
  const b = text({ cells: [{ cell_type: 'code', execution_count: null, id: 'i', metadata: {},
    outputs: [{ name: 'stdout', output_type: 'stream', text: ['a\n', '\n'] },
      { data: { 'image/png': 'AAA=\n', 'application/json': ['a', 'b'],
        'text/plain': ['a\n', 'b'] }, metadata: {}, output_type: 'display_data' }],
    source: ['x\n', 'y'] }], metadata: { a: [], b: 1 }, nbformat_minor: 5, nbformat: 4 })
  assert.equal(a, b)
  assert.ok(a.startsWith('{\n "cells": [\n  {\n   "cell_type": "code",\n') && a.endsWith('}\n'))
  assert.match(a, /"image\/png": "AAA=\\n"/)
})

// what nbformat 5.11 (Python) writes for a notebook of two cells
const reference = String.raw`{
 "cells": [
  {
   "cell_type": "code",
   "execution_count": null,
   "id": "i",
   "metadata": {},
   "outputs": [
    {
     "name": "stdout",
     "output_type": "stream",
     "text": [
      "é\n",
      "b"
     ]
    },
    {
     "data": {
      "application/json": {
       "a": {},
       "b": []
      },
      "image/png": "AAA=\n",
      "image/svg+xml": [
       "<a>\n",
       "</a>"
      ]
     },
     "metadata": {},
     "output_type": "display_data"
    }
   ],
   "source": [
    "x\n",
    "y"
   ]
  },
  {
   "cell_type": "markdown",
   "id": "j",
   "metadata": {},
   "source": []
  }
 ],
 "metadata": {},
 "nbformat": 4,
 "nbformat_minor": 5
}
`

it('formatNotebook writes the bytes that Jupyter writes', () => {
  const nb = parseNotebook(reference, 'x')
  assert.equal(formatNotebook(nb), reference)
  const shuffled = { metadata: {}, nbformat_minor: 5, nbformat: 4, cells: nb.cells.map(o =>
    ({ ...o, source: cellSource(o) })) }
  assert.equal(formatNotebook(shuffled), reference)
})

it('codeCells(nb) counts as Jupyter does after Run All: no prose, no blank cells', () => {
  const found = codeCells(notebook('# Title', 'a', ' \n', 'b'))
  assert.deepEqual(found.map(o => [o.id, o.number, o.source]), [['c1', 1, 'a'], ['c3', 2, 'b']])
  assert.equal(cellSource(notebook('a').cells[0]), 'a')
})

it('directives(source) reads the first lines, with and without blanks and colons', () => {
  assert.deepEqual(directives('//| export foo\n//|eval: false\n\n  //| slow  \nx\n//| hide'), [
    { name: 'export', value: 'foo', line: 1 }, { name: 'eval', value: 'false', line: 2 },
    { name: 'slow', value: '', line: 4 }])
  assert.deepEqual(directives('// | export\n1'), [])
})

it('parseSettings(text) knows comments, both signs and continued lines', () => {
  const text = '[DEFAULT]\n# a = 1\na = x = y\nb: 2\nc = one\n  two\n  # three\n; d = 4\ne ='
  assert.deepEqual(parseSettings(text), { a: 'x = y', b: '2', c: 'one\ntwo', e: '' })
})

it('projectRoot outside a project is refused', () => {
  assert.throws(() => projectRoot('/'), /no settings\.ini/)
})

it('writeAtomic keeps the mode of the file and leaves nothing beside it', () => {
  const { root } = project({}), file = path.join(root, 'f')
  writeAtomic(file, 'a')
  fs.chmodSync(file, 0o700)
  writeAtomic(file, new Uint8Array([98]))
  assert.equal(fs.readFileSync(file, 'utf8'), 'b')
  if (process.platform !== 'win32') assert.equal(fs.statSync(file).mode & 0o777, 0o700)
  assert.deepEqual(fs.readdirSync(root).filter(o => o.endsWith('.part')), [])
})

it('sweep(folder) removes what dead processes left, not what a living one writes', () => {
  const { root } = project({}), living = `.f.${process.ppid}.part`
  fs.writeFileSync(path.join(root, '.f.999999999.part'), '')
  fs.mkdirSync(path.join(root, '.g.999999998.part/x'), { recursive: true })
  fs.writeFileSync(path.join(root, living), '')
  fs.writeFileSync(path.join(root, 'mine.part'), '')
  sweep(root)
  assert.deepEqual(fs.readdirSync(root).filter(o => o.endsWith('.part')), [living, 'mine.part'])
})

it('notebookNames(project, words): a number is one notebook, other words stand in a name', () => {
  const p = project({ '07_train': [], '07a_jit': [], '08_learn': [] })
  assert.deepEqual(notebookNames(p, ['07']), ['nbs/07_train.ipynb'])
  assert.deepEqual(notebookNames(p, ['jit', '08']), ['nbs/07a_jit.ipynb', 'nbs/08_learn.ipynb'])
  assert.deepEqual(notebookNames(p, ['nbs/07a_jit.ipynb']), ['nbs/07a_jit.ipynb'])
  assert.throws(() => notebookNames(p, ['09']), /^Error: no notebook matches 09$/)
})
