import * as assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import * as path from 'node:path'
import { cleanNotebook, cleanOutputs, faults, heavyCells } from '../scripts/clean'
import { Cell, Notebook, Output, formatNotebook } from '../scripts/notebook'
import { files, notebook, project, write } from './project'

const home = path.join(__dirname, '..')
const load = path.join(home, 'scripts/load.cjs'), tool = path.join(home, 'scripts/clean.ts')

const run = (cwd: string, args: string[], input?: string) =>
  spawnSync(process.execPath, ['-r', load, tool, ...args], { cwd, input, encoding: 'utf8' })

const withOutputs = (...outputs: Output[]): Notebook =>
  ({ ...notebook('1'), cells: [{ ...notebook('1').cells[0], outputs }] })
const stream = (text: string, name = 'stdout'): Output => ({ output_type: 'stream', name, text })

it('cleanNotebook takes counts and editors\' metadata out, and keeps what a reader sees', () => {
  const nb: Notebook = { nbformat: 4, nbformat_minor: 5, metadata: { widgets: {}, toc: 1,
    kernelspec: { name: 'miniai', display_name: 'm', language: 'typescript', env: {} },
    language_info: { name: 'typescript', version: '5.0.4', file_extension: '.ts',
      mimetype: 'text/typescript', codemirror_mode: {} } }, cells: [{
    cell_type: 'code', id: 'a', source: '1', execution_count: 7, metadata: { scrolled: true,
      tags: ['hide'], collapsed: false, execution: { 'iopub.status.busy': '2026' },
      jupyter: { source_hidden: true, outputs_hidden: true } }, outputs: [
      { output_type: 'execute_result', execution_count: 7, data: { 'text/plain': '1' },
        metadata: { 'image/png': { width: 9 }, needs_background: 'light' } }] }, {
    cell_type: 'markdown', id: 'b', source: 'x', metadata: { editable: true, tags: [] },
    attachments: { 'a.png': { 'image/png': 'AA' } } }] }
  assert.deepEqual(cleanNotebook(nb), { nbformat: 4, nbformat_minor: 5, metadata: {
    kernelspec: { name: 'miniai', display_name: 'm', language: 'typescript' },
    language_info: { name: 'typescript', file_extension: '.ts', mimetype: 'text/typescript' } },
  cells: [{ cell_type: 'code', id: 'a', source: '1', execution_count: null,
    metadata: { tags: ['hide'], jupyter: { source_hidden: true } }, outputs: [
      { output_type: 'execute_result', execution_count: null, data: { 'text/plain': '1' },
        metadata: { 'image/png': { width: 9 } } }] }, {
    cell_type: 'markdown', id: 'b', source: 'x', metadata: {},
    attachments: { 'a.png': { 'image/png': 'AA' } } }] })
})

it('cleanNotebook(cleanNotebook(nb)) changes no byte, nor does it change its argument', () => {
  const nb = withOutputs(stream('a\rb\n'), stream('c'), stream('d', 'stderr'))
  nb.cells.push({ ...nb.cells[0], outputs: [] }, { ...nb.cells[0], id: undefined, outputs: [] })
  const before = formatNotebook(nb), once = formatNotebook(cleanNotebook(nb))
  assert.equal(formatNotebook(nb), before)
  assert.notEqual(once, before)
  assert.equal(formatNotebook(cleanNotebook(JSON.parse(once))), once)
})

it('cleanNotebook keeps ids, and gives the same new one to a cell without its own', () => {
  const bare = (id?: string): Cell => ({ cell_type: 'code', metadata: {}, source: '1', id })
  const old = [bare('x'), bare('x'), bare(), bare('a b')]
  const nb = { ...notebook(), nbformat_minor: 2, cells: old }
  const { cells, nbformat_minor } = cleanNotebook(nb), ids = cells.map(o => o.id!)
  assert.deepEqual([ids[0], nbformat_minor, new Set(ids).size], ['x', 5, 4])
  assert.ok(ids.every(o => /^[\w-]{1,64}$/.test(o)), ids.join())
  assert.deepEqual(cleanNotebook(nb).cells.map(o => o.id), ids)
})

it('cleanOutputs joins the pieces of a stream and shows lines as a terminal would', () => {
  const outputs = [stream('10 %\r'), stream('100 %\rok'), stream('!\nabc\r\n'),
    stream('e', 'stderr')]
  assert.deepEqual(cleanOutputs(outputs).map(o => [o.name, o.text]),
    [['stdout', 'ok! %\nabc\n'], ['stderr', 'e']])
})

it("cleanOutputs drops the lab's photograph of a chart, and keeps pictures", () => {
  const chart = { 'application/vnd.plotly.v1+json': {}, 'image/svg+xml': '<svg/>' }
  const show = (data: Output['data']): Output => ({ output_type: 'display_data', data })
  const picture = show({ 'image/png': 'AA', 'text/plain': 'a seven' })
  assert.deepEqual(cleanOutputs([show({ ...chart, 'image/png': 'AA' }), picture]),
    [show(chart), picture])
})

it('faults names failed cells and folders of this machine, heavyCells big outputs', () => {
  const error: Output = { output_type: 'error', ename: 'TypeError', evalue: 'no', traceback: [] }
  const at = { name: 'nbs/x.ipynb', root: '/home/me/course' }
  assert.deepEqual(faults(withOutputs(error), at),
    ['nbs/x.ipynb, cell 1: saved with an error, TypeError: no'])
  assert.deepEqual(faults(withOutputs(stream('/home/me/course/nbs')), at),
    ['nbs/x.ipynb, cell 1: its output names the folder /home/me/course of this machine'])
  assert.deepEqual(faults(withOutputs(stream('fine')), at), [])
  assert.deepEqual(heavyCells(withOutputs(stream('x'.repeat(1.5e6))), 'x'),
    ['x, cell 1: outputs of 1.5 MB'])
  assert.deepEqual(heavyCells(withOutputs(stream('x'.repeat(1e5))), 'x'), [])
})

it('clean writes, clean --check exits 1 and writes nothing, a word chooses notebooks', () => {
  const p = project({ '01_a': ['1'], '02_b': ['2'] }), before = files(p)
  const check = run(p.root, ['--check'])
  assert.equal(check.status, 1)
  assert.match(check.stderr, /^run "npm run clean": .* nbs\/01_a\.ipynb, nbs\/02_b\.ipynb\n$/)
  assert.deepEqual(files(p), before)
  assert.equal(run(p.root, ['02']).stdout, 'clean: nbs/02_b.ipynb\n')
  assert.equal(files(p)['nbs/01_a.ipynb'], before['nbs/01_a.ipynb'])
  assert.equal(run(p.root, []).stdout, 'clean: nbs/01_a.ipynb\n')
  const after = files(p)
  assert.equal(run(p.root, []).stdout, 'clean: nothing to change\n')
  assert.equal(run(p.root, ['--check']).status, 0)
  assert.deepEqual(files(p), after)
})

it('clean --check fails on a clean notebook that holds an error', () => {
  const p = project({})
  const error: Output = { output_type: 'error', ename: 'E', evalue: 'v', traceback: [] }
  fs.writeFileSync(path.join(p.root, 'nbs/01_a.ipynb'),
    formatNotebook(cleanNotebook(withOutputs(error))))
  const { status, stderr } = run(p.root, ['--check'])
  assert.deepEqual([status, stderr], [1, 'nbs/01_a.ipynb, cell 1: saved with an error, E: v\n'])
})

it('clean of a damaged notebook names the place and changes no notebook', () => {
  const p = project({ '01_a': ['1'] })
  fs.writeFileSync(path.join(p.root, 'nbs/02_b.ipynb'), '{\n "cells": [,]\n}')
  const before = files(p), { status, stderr } = run(p.root, [])
  assert.equal(status, 1)
  assert.match(stderr, /^nbs\/02_b\.ipynb, line 2 of the file: not valid JSON .*\n$/)
  assert.deepEqual(files(p), before)
})

it('clean - is a filter from standard input to standard output', () => {
  const dirty = JSON.stringify(withOutputs(stream('é', 'stdout')))
  const { stdout, status } = run(home, ['-'], dirty)
  assert.deepEqual([stdout, status], [formatNotebook(cleanNotebook(JSON.parse(dirty))), 0])
  assert.equal(run(home, ['-'], stdout).stdout, stdout)
  assert.equal(run(home, ['-'], '{').status, 1)
})

it('clean --install: git adds clean notebooks and refuses to commit old modules', () => {
  const p = project({ '01_a': ['//| default_exp a', '//| export\nconst a = 1'] }), { root } = p
  fs.cpSync(path.join(home, 'scripts'), path.join(root, 'scripts'), { recursive: true })
  const script = 'node -r ./scripts/load.cjs scripts/export.ts --no-types'
  fs.writeFileSync(path.join(root, 'package.json'), JSON.stringify({ scripts: { export: script } }))
  const git = (...args: string[]) => spawnSync('git', args, { cwd: root, encoding: 'utf8' })
  git('init', '-q')
  git('config', 'user.name', 'a')
  git('config', 'user.email', 'a@b')
  const install = () => execFileSync(process.execPath,
    ['-r', './scripts/load.cjs', 'scripts/clean.ts', '--install'], { cwd: root, encoding: 'utf8' })
  assert.match(install(), /^git now cleans notebooks/)
  const settings = () => ['config', 'info/attributes', 'hooks/pre-commit'].map(o =>
    fs.readFileSync(path.join(root, '.git', o), 'utf8'))
  const first = settings()
  install()
  assert.deepEqual(settings(), first)
  assert.equal(git('add', 'nbs').stderr, '')
  const nb = fs.readFileSync(path.join(root, 'nbs/01_a.ipynb'), 'utf8')
  assert.equal(git('show', ':nbs/01_a.ipynb').stdout, formatNotebook(cleanNotebook(JSON.parse(nb))))
  const refused = git('commit', '-qm', 'one')
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /run "npm run export": it would change miniai\/a\.ts/)
  execFileSync(process.execPath, script.split(' ').slice(1), { cwd: root })
  git('add', 'miniai')
  assert.equal(git('commit', '-qm', 'one').status, 0)
})

it('clean --install leaves a hook that somebody else wrote alone', () => {
  const { root } = project({}), hook = path.join(root, '.git/hooks/pre-commit')
  execFileSync('git', ['init', '-q'], { cwd: root })
  fs.writeFileSync(hook, '#!/bin/sh\n')
  const { status, stderr } = run(root, ['--install'])
  assert.equal(status, 1)
  assert.match(stderr, /pre-commit is not ours: add "npm run -s export -- --check" to it/)
  assert.equal(fs.readFileSync(hook, 'utf8'), '#!/bin/sh\n')
})

it('clean: this repository\'s notebooks are clean', () => {
  const { status, stderr } = run(home, ['--check'])
  assert.deepEqual([status, stderr], [0, ''])
})
