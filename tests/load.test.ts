import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporary } from './folders'

const repo = join(__dirname, '..')

it('load.cjs keeps what it made, and removes what has lain there for more than a month', () => {
  const root = temporary(), cache = join(root, '.cache/js'), ago = Date.now() / 1000 - 40 * 86400
  cpSync(join(repo, 'scripts/load.cjs'), join(root, 'scripts/load.cjs'))
  symlinkSync(join(repo, 'node_modules'), join(root, 'node_modules'), 'junction')
  mkdirSync(join(cache, 'v8'), { recursive: true })
  for (const name of ['old.js', 'v8/old', 'young.js']) writeFileSync(join(cache, name), '')
  for (const name of ['old.js', 'v8/old']) utimesSync(join(cache, name), ago, ago)
  writeFileSync(join(root, 'a.ts'), 'const n: number = 6 * 7\nconsole.log(n)')
  const run = () => spawnSync(process.execPath, ['-r', './scripts/load.cjs', 'a.ts'],
    { cwd: root, encoding: 'utf8' })
  for (let i = 0; i < 2; i++) assert.equal(run().stdout, '42\n')
  const left = readdirSync(cache, { recursive: true }).map(String)
  assert.ok(left.includes('young.js') && left.some(o => /^[0-9a-f]{64}\.js$/.test(o)))
  assert.deepEqual(left.filter(o => o.includes('old')), [])
})
