import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exitCode, isInstalled, table } from '../scripts/bench'
import { row } from '../scripts/bench/row'
import { runChild } from './children'
import { temporary } from './folders'

const rows = [row('fast work', [1, 2, 3], [2, 4, 6], 0.9), row('slow', [0.004], [0.001], 1)]

it('table(rows) says of each bar whether it is met, and a missed one makes the exit code 1', () => {
  assert.equal(table(rows), [
    'work       ours     peer     ratio  bar',
    'fast work  2.00 s   4.00 s   0.50   ≤ 0.9  met',
    'slow       4.00 ms  1.00 ms  4.00   ≤ 1    MISSED',
  ].join('\n'))
  assert.deepEqual([exitCode(rows.slice(0, 1)), exitCode(rows)], [0, 1])
})

it('isInstalled(stamp): only peers of exactly these pins count as installed', () => {
  const stamp = join(temporary(), 'peers.txt'), pins = ['torch==2', 'nbdev==3']
  assert.ok(!isInstalled(stamp, pins))
  writeFileSync(stamp, 'torch==2\nnbdev==3')
  assert.ok(isInstalled(stamp, pins))
  assert.ok(!isInstalled(stamp, ['torch==2', 'nbdev==4']))
})

const hasPython = spawnSync('python3', ['--version']).status === 0
const onPython = hasPython ? it : it.skip
onPython('a peer whose code fails says why, and does not keep the bench alive', () => {
  const { err, status } = runChild(`const { startPeer } = require('./scripts/peer')
await startPeer('python3', 'import nothing_of_this_name')`)
  assert.match(err, /peer: error [^]*No module named \S*nothing_of_this_name/)
  assert.equal(status, 1)
})
